"""What is seen in a profile, in sentences: from its numbers, and no more than their intervals support."""

from collections.abc import Sequence

from conescope.report.wording import decimals, number
from conescope.results import MeasuredValue, Profile
from conescope.results.profile import Layer
from conescope.results.profiles import ProfileComparison, blocks

CONE = "mean_cosine"
CENTERED = "mean_cosine_centered"
FINE = 1e-3  # half the width of an interval below which three decimals hide it
LISTED = 4  # layers by name; more are counted


def seen(profile: Profile, stack: str) -> list[str]:
    """Return what is seen in a stack: where the mean cosine peaks, whether it is the mean, the last layer."""
    layers = profile.of(stack)
    sentences = []
    if CONE in profile.names():
        sentences += _cone(layers)
    if any(layer.constant for layer in layers):
        constant = [layer for layer in layers if layer.constant]
        said = _listed(constant, "layer")
        sentences.append(f"{said[:1].upper()}{said[1:]} {'is' if len(constant) == 1 else 'are'} constant.")
    return [*sentences, *_last(layers)]


def against(found: ProfileComparison) -> list[str]:
    """Return in how many layers the mean cosine of each profile differs from that of the first one."""
    if CONE not in found.names():
        return []
    first, *others = found.profiles
    sentences = []
    for space in others:
        layers = found.of(space)
        outcomes = [layer.difference(CONE).outcome for layer in layers]
        known = {word: outcomes.count(word) for word in ("higher", "lower", "within noise", "not known")}
        parts = ", ".join(f"{word} in {count}" for word, count in known.items() if count)
        sentences.append(
            f"Mean cosine of {space} against {first}, {_counted(len(layers), 'layer')} compared: {parts}."
        )
    return sentences


def valued(found: MeasuredValue, *, interval: bool = True) -> str:
    """Return a value with its interval in words.

    >>> valued(MeasuredValue(name="isoscore", value=0.5, low=0.4, high=0.6))
    '0.500 [0.400, 0.600]'
    """
    if found.value is None:
        return "undefined"
    if not interval or found.low is None or found.high is None:
        return _short(found.value, 0.0)
    half = (found.high - found.low) / 2
    return f"{_short(found.value, half)} [{_short(found.low, half)}, {_short(found.high, half)}]"


def bounds(found: MeasuredValue) -> str:
    """Return the healthy range of a value in words, or nothing.

    >>> bounds(MeasuredValue(name="mean_cosine", value=0.5, healthy=(None, 0.35)))
    'at most 0.35'
    """
    low, high = _ends(found)
    if low is None:
        return "" if high is None else f"at most {high:.4g}"
    return f"at least {low:.4g}" if high is None else f"{low:.4g} to {high:.4g}"


def health(found: MeasuredValue) -> str:
    """Return "inside" or "outside" the healthy range if the whole interval is, else "not known".

    Nothing is returned where there is no value or no range.
    """
    low, high = _ends(found)
    if found.value is None or (low is None and high is None):
        return ""
    if found.low is None or found.high is None:
        return "not known"
    if (low is None or found.low >= low) and (high is None or found.high <= high):
        return "inside"
    if (low is not None and found.high < low) or (high is not None and found.low > high):
        return "outside"
    return "not known"


def _ends(found: MeasuredValue) -> tuple[float | None, float | None]:
    low, high = found.healthy or (None, None)
    infinite = float("inf")
    return (None if low is None or low == -infinite else low), (None if high in (None, infinite) else high)


def _cone(layers: Sequence[Layer]) -> list[str]:
    from conescope.survey.compare import compared  # here, so that reports of other results load without torch

    known = [layer for layer in layers if layer.measurement.measured(CONE).value is not None]
    if not known:
        return []
    top = max(known, key=lambda layer: layer.measurement.value(CONE))
    highest = top.measurement.measured(CONE)
    rest = [layer for layer in known if layer is not top]
    outcomes = {
        layer.depth: compared(CONE, "", highest, layer.measurement.measured(CONE)).outcome for layer in rest
    }
    equal = [layer for layer in rest if outcomes[layer.depth] != "lower"]
    where = _called(top)
    of = f" of {blocks(tuple(layers))}" if top.kind == "block" else ""
    if not rest:
        said = f"Mean cosine is {valued(highest)} in {where}{of}"
    elif not equal:
        said = f"Mean cosine is highest in {where}{of}: {valued(highest)}"
    elif highest.low is None or any(word == "not known" for word in outcomes.values()):
        said = f"Mean cosine reads highest in {where}{of}, {valued(highest)}, but its noise is not known"
    elif len(equal) == len(rest):
        said = f"Mean cosine is the same in all layers within noise, at most {valued(highest)}"
    else:
        as_high = "is as high" if len(equal) == 1 else "are as high"
        said = (
            f"Mean cosine reaches {valued(highest)} in {where}{of}; {_listed(equal)} {as_high} within noise"
        )
    return [f"{said}{_after_centering(top, highest)}."]


def _after_centering(top: Layer, highest: MeasuredValue) -> str:
    """Return what is left of the highest mean cosine about the mean, and the conclusion if there is one."""
    if CENTERED not in top.measurement.names():
        return ""
    centered = top.measurement.measured(CENTERED)
    if centered.value is None:
        return ""
    said = f"; after centering it is {valued(centered, interval=False)}"
    if health(highest) != "outside" or centered.low is None or centered.high is None:
        return said
    left = health(centered.model_copy(update={"healthy": highest.healthy}))
    return said + {"inside": ": the cone is the mean", "outside": ": the mean alone does not explain it"}.get(
        left, ""
    )


def _last(layers: Sequence[Layer]) -> list[str]:
    last = layers[-1]
    judged = {value.name: (value, health(value)) for value in last.measurement.values if health(value)}
    where = _called(last)
    if not judged:
        return []
    outside = [value for value, word in judged.values() if word == "outside"]
    open_ = [value for value, word in judged.values() if word == "not known"]
    if outside:
        told = "; ".join(f"{_plain(v.name)} is {valued(v)}, healthy is {bounds(v)}" for v in outside)
        return [f"The last, {where}, is outside its healthy range: {told}."]
    if open_:
        told = "; ".join(f"{_plain(v.name)} {valued(v)} ({bounds(v)})" for v in open_)
        return [f"Whether the last, {where}, is healthy can not be told from {told}."]
    names = _joined([_plain(name) for name in judged])
    return [f"The last, {where}, is within its healthy range in {names}: leave it alone."]


def _called(layer: Layer) -> str:
    """Return what a layer is called in a sentence.

    A final normalization is named by what it is, as no block has its number.
    """
    return f"layer {layer.depth}" + (" (the final normalization)" if layer.kind == "final" else "")


def _listed(layers: Sequence[Layer], counted: str = "other layer") -> str:
    if len(layers) > LISTED:
        return _counted(len(layers), counted)
    depths = [str(layer.depth) for layer in layers]
    together = _joined(depths)
    return f"layer{'s' if len(depths) > 1 else ''} {together}"


def _joined(words: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _short(value: float, half: float) -> str:
    """Return a number with the three digits that a sentence needs, or those in which its interval shows."""
    if 0 < half < FINE:
        return number(value, decimals(value, half))
    return "0.000" if abs(value) < FINE / 2 else number(value, 3 if abs(value) < 10 else 1)
