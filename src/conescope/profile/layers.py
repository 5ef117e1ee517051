"""`conescope.profile_layers`: the measures of every layer of a model, in one pass over some inputs.

Hidden states are seen by hooks, pooled where they are, and kept as moments and a bounded sample: memory
does not grow with the inputs. Padding and special tokens do not count, unless asked for.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from conescope.capture import Prepared, Spots, unwrapped
from conescope.capture.batch import ordered
from conescope.capture.opening import Modality, open_model, prepare
from conescope.profile.gathering import Gathering
from conescope.profile.measuring import measured_layer
from conescope.profile.pausing import finish, finished, resumed, save
from conescope.profile.running import Advance, device_of, evaluating, layers_of, run
from conescope.profile.token_views import TokenViews
from conescope.results.profile import Profile
from conescope.scale.moments import Precision
from conescope.scale.scan import DOUBLE_WORK
from conescope.survey.rows import chosen

PointsOf: TypeAlias = Literal["mean", "tokens", "cls", "first", "last"]
POINTS: tuple[str, ...] = get_args(PointsOf)
DEFAULT_MEASURES = (
    "mean_cosine",
    "mean_cosine_centered",
    "anisotropy_1",
    "anisotropy_1_uncentered",
    "isoscore",
    "effective_rank",
    "twonn",
    "drift",
    "relative_drift",
    "mean_norm",
    "norm_variation",
    "rogue_share",
    "hubness",
)
WEIGHED = 64  # numbers of each parameter by which a model is known again


def profile_layers(
    model: str | Path | nn.Module,
    inputs: Sequence[Any] | Tensor,
    *,
    pooling: PointsOf = "mean",
    special_tokens: bool = False,
    measures: str | Sequence[str] | None = None,
    modality: Modality | None = None,
    processor: Any = None,
    blocks: Sequence[str] | None = None,
    batch_size: int = 32,
    max_length: int | None = None,
    device: str | torch.device | None = None,
    sample: int = 2048,
    seed: int = 0,
    intervals: bool = True,
    token_views: bool = False,
    untrained: bool = False,
    path: str | Path | None = None,
    title: str | None = None,
    advance: Advance | None = None,
    stage: Callable[[str], None] | None = None,
) -> Profile:
    """Return the measures of every layer of a model, on some inputs.

    Args:
        model: a folder with a model of transformers, its name on the hub, or any module.
        inputs: texts; sounds, as paths or arrays of samples; images, as paths, arrays or PIL images; or,
            for a module of one's own, batches: tensors, or mappings of argument names to tensors.
        pooling: what is a point: the mean over the tokens of an input, its first or last one, the CLS vector
            (the first token, special or not), or every token.
        special_tokens: whether tokens that stand for no part of the input count; padding never does.
        measures: names from `conescope.measures.MEASURES`; None takes `DEFAULT_MEASURES`.
        modality: text, audio or image; None goes by the inputs.
        processor: tokenizer, feature extractor or image processor; None takes the model's own.
        blocks: names of the modules to look behind; None finds the lists of blocks.
        batch_size: inputs of one forward pass. It changes no number beyond rounding.
        max_length: tokens (or samples of a sound) that are kept of an input; None for what the model takes.
        device: where to run; None for where the model is.
        sample: measures that look at pairs take at most this many points, drawn without replacement.
        seed: of that draw, and of the weights of an untrained model.
        intervals: whether to compute them. Tokens of one input are not taken to be independent.
        token_views: whether to add tables of what tokens and their types do: "tokens", "rogue_dimensions" and
            "frequency"; for inputs whose tokens have types, such as texts. See `profile.token_views`.
        untrained: whether to profile the architecture with fresh weights in place of the model's own.
        path: a folder that gets the profile as profile.json. A run that is stopped leaves there what it has
            and goes on from it, and one that was finished is not run again.
        title: of the profile; None for the name of the model.
        advance: is called with how many inputs are done, and how many there are.
        stage: is called with what is measured next.

    Raises:
        ValueError: for a model in which no blocks are found (the message names its modules), inputs that it
            does not take, an input without a token that counts, and hidden states that are not finite.

    The numbers of layers: 0 is what enters the first block, i what block i returns, and one more what the
    model returns where a normalization follows the last block.
    """
    opened = open_model(model, untrained=untrained, seed=seed)
    tower, prepared = prepare(opened, inputs, modality=modality, processor=processor, max_length=max_length)
    return profile_prepared(
        tower,
        prepared,
        title=opened.title if title is None else title,
        pooling=pooling,
        special_tokens=special_tokens,
        measures=measures,
        blocks=blocks,
        batch_size=batch_size,
        device=device,
        sample=sample,
        seed=seed,
        intervals=intervals,
        token_views=token_views,
        untrained=untrained,
        path=path,
        advance=advance,
        stage=stage,
    )


@torch.no_grad()
def profile_prepared(
    model: nn.Module,
    prepared: Prepared,
    *,
    title: str,
    pooling: PointsOf = "mean",
    special_tokens: bool = False,
    measures: str | Sequence[str] | None = None,
    blocks: Sequence[str] | None = None,
    batch_size: int = 32,
    device: str | torch.device | None = None,
    sample: int = 2048,
    seed: int = 0,
    intervals: bool = True,
    token_views: bool = False,
    untrained: bool = False,
    path: str | Path | None = None,
    advance: Advance | None = None,
    stage: Callable[[str], None] | None = None,
) -> Profile:
    """Return the profile of a model on prepared inputs; see `profile_layers`."""
    _check_options(pooling, batch_size, len(prepared.sizes))
    rows = chosen(DEFAULT_MEASURES if measures is None else measures, labels=False, partners=False)
    where = torch.device(device) if device is not None else device_of(model)
    batches = ordered(prepared, batch_size)
    with evaluating(model, where):
        found = layers_of(model, prepared, where, blocks)
        layers = _gatherings(found, prepared, pooling, sample, seed)
        folder = None if path is None else Path(path)
        key = _key(model, prepared, found, pooling, special_tokens, batch_size, sample, seed)
        key += "-tokens" if token_views else ""
        whole_key = f"{key}-{_short_hash((intervals, [row.name for row in rows]))}"
        known = None if folder is None else finished(folder, whole_key)
        if known is not None:
            return known
        views = None
        if token_views:
            views = TokenViews(
                prepared, batches, found.layers, special_tokens=special_tokens, seed=seed, device=where
            )
        done = 0 if folder is None else resumed(folder, key, layers, views)
        run(
            model,
            prepared,
            batches,
            found,
            layers,
            pooling=pooling,
            special_tokens=special_tokens,
            device=where,
            done=done,
            advance=advance,
            look=None if views is None else views.see,
            pause=None if folder is None else lambda count: save(folder, key, count, layers, views),
        )
    profiled = []
    for layer in layers:
        if stage is not None:
            stage(f"{layer.spot.stack} layer {layer.spot.depth}".strip())
        assert layer.state is not None  # every batch shows every layer
        measured = measured_layer(
            layer.spot,
            layer.state,
            rows,
            inputs=len(prepared.sizes),
            tokens=pooling == "tokens",
            intervals=intervals,
        )
        tables = () if views is None else views.tables(layer.spot, intervals=intervals)
        profiled.append(measured.model_copy(update={"tables": tables}))
    profile = Profile(
        title=title,
        architecture=type(unwrapped(model)).__name__,
        modality=prepared.modality,
        pooling=pooling,
        special_tokens=special_tokens,
        inputs=len(prepared.sizes),
        seed=seed,
        key=whole_key,
        untrained=untrained,
        layers=tuple(profiled),
    )
    if folder is not None:
        finish(folder, profile)
    return profile


def _check_options(pooling: str, batch_size: int, inputs: int) -> None:
    if pooling not in POINTS:
        raise ValueError(f"pooling must be one of {', '.join(POINTS)}, got {pooling!r}")
    if batch_size < 1:
        raise ValueError(f"a batch has one input or more, got batch_size {batch_size}")
    if inputs == 0:
        raise ValueError("there is no input to profile the model on")


def _gatherings(found: Spots, prepared: Prepared, pooling: str, sample: int, seed: int) -> list[Gathering]:
    count = sum(prepared.sizes) if pooling == "tokens" else len(prepared.sizes)

    def precision(d: int) -> Precision:
        return "double" if count * d * d <= DOUBLE_WORK else "single"

    return [Gathering(spot, sample, seed, precision(spot.d)) for spot in found.layers]


def _key(
    model: nn.Module,
    prepared: Prepared,
    found: Spots,
    pooling: str,
    special_tokens: bool,
    batch_size: int,
    sample: int,
    seed: int,
) -> str:
    """Return a hash of all that the states depend on: a stopped run goes on only where it is the same."""
    settings = (prepared.fingerprint, pooling, special_tokens, batch_size, sample, seed, found.layers)
    digest = hashlib.blake2b(repr(settings).encode(), digest_size=16)
    for name, weights in model.named_parameters():
        some = weights.detach().flatten()[:WEIGHED].double().cpu()
        digest.update(f"{name} {tuple(weights.shape)} {weights.dtype}".encode() + some.numpy().tobytes())
    return digest.hexdigest()


def _short_hash(settings: object) -> str:
    return hashlib.blake2b(repr(settings).encode(), digest_size=4).hexdigest()
