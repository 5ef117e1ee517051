"""Profiles side by side: which measures differ beyond noise, in layers that stand at the same depth.

Stacks go together by name, or where each profile has but one. Layers of stacks of as many blocks go
together by their depth; else by their relative depth i / L, block i of L: to each layer of the first
profile goes the nearest one of the other, the earlier one if two are as near. What the normalization
behind the last block returns goes with its like only. The rule of what is noise is that of
`conescope.compare`.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from conescope.results.profile import Layer, Profile
from conescope.results.profiles import ComparedLayer, ProfileComparison, blocks, relative_depth
from conescope.survey.compare import compared, is_profile, names_of


def compare_profiles(
    *profiles: Profile | str | os.PathLike[str],
    names: Sequence[str] | None = None,
    measures: str | Sequence[str] | None = None,
) -> ProfileComparison:
    """Return how profiles differ from the first one: every measure, layer by layer, with its interval.

    Args:
        profiles: two or more, or the JSON files they are in.
        names: of the profiles; by default their paths, or titles, with a number where they repeat.
        measures: to compare; None for all that the profiles share.

    Raises:
        FileNotFoundError: for a path without a file.
        ValueError: for fewer than two profiles, a file that is none, names that repeat or do not fit, a
            measure that a profile lacks, and profiles without a stack, a layer or a measure in common.
    """
    if len(profiles) < 2:
        raise ValueError(f"a comparison needs two profiles or more, got {len(profiles)}")
    loaded = [each if isinstance(each, Profile) else stored_profile(each) for each in profiles]
    if names is None:
        names = _names(profiles, loaded)
    named = dict(zip(names_of(loaded, names), loaded, strict=True))
    (first_name, first), *others = named.items()
    wanted = _measures(named, measures)
    notes = _settings(named)
    layers: list[ComparedLayer] = []
    for name, other in others:
        for stack, other_stack in _stacks(first_name, first, name, other, notes):
            pairs = _pairs(first.of(stack), other.of(other_stack))
            notes += _told(stack, first.of(stack), other.of(other_stack), first_name, name)
            layers += [_compared(one, two, name, wanted) for one, two in pairs]
    if any(not any(layer.space == name for layer in layers) for name, _ in others):
        raise ValueError(f"the profiles must have a layer in common with {first_name}")
    return ProfileComparison(profiles=named, layers=tuple(layers), notes=tuple(dict.fromkeys(notes)))


def stored_profile(file: str | os.PathLike[str]) -> Profile:
    """Return the profile in a JSON file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds anything else, such as the measurement of one space.
    """
    path = Path(file)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if not is_profile(path):
        raise ValueError(
            f"{path} is not a profile, and a profile is compared with profiles only; make one with conescope "
            "layers"
        )
    try:
        return Profile.model_validate_json(path.read_bytes())
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise ValueError(
            f"{path} is not a profile of this version of conescope ({where}: {first['msg']}); make one with "
            "conescope layers"
        ) from None


def _names(given: Sequence[object], loaded: Sequence[Profile]) -> list[str]:
    """Return whole paths, since each of these files tends to be called profile.json, or titles."""
    called = [
        profile.title if isinstance(one, Profile) else str(one)
        for one, profile in zip(given, loaded, strict=True)
    ]
    return [
        f"{name} ({called[:place].count(name) + 1})" if name in called[:place] else name
        for place, name in enumerate(called)
    ]


def _measures(named: dict[str, Profile], measures: str | Sequence[str] | None) -> tuple[str, ...]:
    first, *others = named.values()
    if measures is None:
        shared = tuple(name for name in first.names() if all(name in other.names() for other in others))
        if not shared:
            each = "; ".join(f"{name} has {', '.join(profile.names())}" for name, profile in named.items())
            raise ValueError(f"the profiles must have a measure in common: {each}")
        return shared
    wanted = tuple(dict.fromkeys([measures] if isinstance(measures, str) else measures))
    for name, profile in named.items():
        for measure in wanted:
            if measure not in profile.names():
                raise ValueError(
                    f"{name} was profiled without {measure}; it has {', '.join(profile.names())}"
                )
    return wanted


def _stacks(
    first_name: str, first: Profile, name: str, other: Profile, notes: list[str]
) -> list[tuple[str, str]]:
    ours, theirs = first.stacks(), other.stacks()
    if len(ours) == len(theirs) == 1:
        return [(ours[0], theirs[0])]
    shared = [(stack, stack) for stack in ours if stack in theirs]
    if not shared:
        raise ValueError(
            f"the profiles must have a stack in common: {first_name} has {', '.join(ours)}; "
            f"{name} has {', '.join(theirs)}"
        )
    alone = [stack for stack in (*ours, *theirs) if (stack, stack) not in shared]
    if alone:
        notes.append(f"stacks of one profile only, and left out here: {', '.join(alone)}")
    return shared


def _pairs(ours: tuple[Layer, ...], theirs: tuple[Layer, ...]) -> list[tuple[Layer, Layer]]:
    """Return which layers of two stacks stand at the same depth."""
    same = blocks(ours) == blocks(theirs)
    pairs = []
    for layer in ours:
        alike = [other for other in theirs if (other.kind == "final") == (layer.kind == "final")]
        if same:
            alike = [other for other in alike if other.depth == layer.depth]
        if alike:
            at = relative_depth(layer, ours)
            apart = [abs(relative_depth(other, theirs) - at) for other in alike]
            pairs.append((layer, alike[apart.index(min(apart))]))
    return pairs


def _compared(one: Layer, other: Layer, name: str, wanted: Sequence[str]) -> ComparedLayer:
    return ComparedLayer(
        space=name,
        stack=one.stack,
        depth=one.depth,
        other_stack=other.stack,
        other_depth=other.depth,
        differences=tuple(
            compared(measure, name, one.measurement.measured(measure), other.measurement.measured(measure))
            for measure in wanted
        ),
    )


def _told(
    stack: str, ours: tuple[Layer, ...], theirs: tuple[Layer, ...], first_name: str, name: str
) -> list[str]:
    depths = blocks(ours), blocks(theirs)
    whose = f"the {stack} of " if stack else ""
    notes = []
    if depths[0] != depths[1]:
        notes.append(
            f"{whose}{first_name} has {depths[0]} blocks and {name} {depths[1]}: layers go together by "
            "relative depth"
        )
    finals = [any(layer.kind == "final" for layer in layers) for layers in (ours, theirs)]
    if finals[0] != finals[1]:
        owner = first_name if finals[0] else name
        notes.append(f"only {whose}{owner} has a normalization behind its last block; it is left out")
    if {layer.measurement.d for layer in ours} != {layer.measurement.d for layer in theirs}:
        notes.append(
            f"{first_name} and {name} have different numbers of dimensions: effective_rank, drift and others "
            "go with that number, isoscore and cosines less so"
        )
    return notes


def _settings(named: dict[str, Profile]) -> list[str]:
    """Return what the profiles do not share and the numbers may depend on."""
    notes = []
    for words, settings in {
        "poolings": [profile.pooling for profile in named.values()],
        "modalities": [profile.modality for profile in named.values()],
        "numbers of inputs": [str(profile.inputs) for profile in named.values()],
        "ways with special tokens": ["in" if each.special_tokens else "out" for each in named.values()],
    }.items():
        found = list(dict.fromkeys(settings))
        if len(found) > 1:
            notes.append(f"the profiles have different {words}: {', '.join(found)}")
    measured = [profile.names() for profile in named.values()]
    everywhere = set(measured[0]).intersection(*measured[1:])
    apart = dict.fromkeys(name for names in measured for name in names if name not in everywhere)
    if apart:
        notes.append(f"measured in some of the profiles only, and left out here: {', '.join(apart)}")
    return notes
