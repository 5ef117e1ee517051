"""`conescope.profile_layers`: the measures of every layer of a model, in one pass over some inputs.

Hidden states are seen by hooks, pooled where they are, and kept as moments and a bounded sample: memory
does not grow with the inputs. Padding and special tokens do not count, unless asked for.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from conescope.capture import unwrapped
from conescope.capture.opening import Modality, open_model, prepare
from conescope.capture.spots import chosen_layers
from conescope.measures import Measure
from conescope.profile.gathered import Gathered, gathered
from conescope.profile.measuring import measured_layer
from conescope.profile.pausing import finish, finished
from conescope.profile.running import Advance, device_of, evaluating, layers_of
from conescope.profile.settings import PointsOf, Settings
from conescope.results.profile import Layer, Profile
from conescope.survey.rows import chosen

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


def profile_layers(
    model: str | Path | nn.Module,
    inputs: Sequence[Any] | Tensor,
    *,
    pooling: PointsOf = "mean",
    special_tokens: bool = False,
    measures: str | Sequence[str] | None = None,
    modality: Modality | None = None,
    processor: Any = None,
    layers: Sequence[int] | None = None,
    blocks: Sequence[str] | None = None,
    batch_size: int = 32,
    max_length: int | None = None,
    transcripts: Sequence[str] | None = None,
    tokenizer: Any = None,
    device: str | torch.device | None = None,
    sample: int = 2048,
    seed: int = 0,
    intervals: bool = True,
    token_views: bool = False,
    untrained: bool = False,
    path: str | Path | None = None,
    title: str | None = None,
    step: int | None = None,
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
        layers: which ones, by number; None for all. Only these are kept, and only their modules have hooks.
        blocks: names of the modules to look behind; None finds the lists of blocks.
        batch_size: inputs of one forward pass. It changes no number beyond rounding.
        max_length: tokens (or samples of a sound) that are kept of an input; None for what the model takes.
        transcripts: of sounds, for the decoder of a speech model; None gives it its start tokens only.
        tokenizer: of the transcripts; None takes the model's own.
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
        step: of training, where the model is one of several checkpoints.
        advance: is called with how many inputs are done, and how many there are.
        stage: is called with what is measured next.

    Raises:
        ValueError: for a model in which no blocks are found (the message names its modules), inputs that it
            does not take, an input without a token that counts, and hidden states that are not finite.

    The numbers of layers: 0 is what enters the first block, i what block i returns, and one more what the
    model returns where a normalization follows the last block.
    """
    settings = Settings(pooling, special_tokens, batch_size, sample, seed, token_views)
    rows = chosen(DEFAULT_MEASURES if measures is None else measures, labels=False, partners=False)
    opened = open_model(model, untrained=untrained, seed=seed)
    tower, prepared = prepare(
        opened,
        inputs,
        modality=modality,
        processor=processor,
        max_length=max_length,
        transcripts=transcripts,
        tokenizer=tokenizer,
    )
    tower = unwrapped(tower)  # a compiled model would not see hooks that come after it was compiled
    where = torch.device(device) if device is not None else device_of(tower)
    folder = None if path is None else Path(path)
    with evaluating(tower, where):
        found = layers_of(tower, prepared, where, blocks)
        found = found if layers is None else chosen_layers(found, layers)
        key = settings.key(tower, prepared, found)
        whole_key = _key_of_all(key, title, step, untrained, intervals, [row.name for row in rows])
        known = None if folder is None else finished(folder, whole_key)
        if known is not None:
            return known
        states = gathered(
            tower, prepared, found, settings, device=where, folder=folder, key=key, advance=advance
        )
    profile = Profile(
        title=opened.title if title is None else title,
        architecture=type(tower).__name__,
        modality=prepared.modality,
        pooling=pooling,
        special_tokens=special_tokens,
        inputs=len(prepared.sizes),
        seed=seed,
        key=whole_key,
        untrained=untrained,
        step=step,
        layers=measured_layers(states, rows, settings, len(prepared.sizes), intervals=intervals, stage=stage),
    )
    if folder is not None:
        finish(folder, profile)
    return profile


def measured_layers(
    states: Gathered,
    rows: Sequence[Measure],
    settings: Settings,
    inputs: int,
    *,
    intervals: bool = True,
    stage: Callable[[str], None] | None = None,
) -> tuple[Layer, ...]:
    """Return the measures of each layer, with tables of what was seen of their tokens."""
    found = []
    for layer in states.layers:
        if stage is not None:
            stage(f"{layer.spot.stack} layer {layer.spot.depth}".strip())
        assert layer.state is not None  # every batch shows every layer
        measured = measured_layer(
            layer.spot,
            layer.state,
            rows,
            inputs=inputs,
            tokens=settings.pooling == "tokens",
            intervals=intervals,
        )
        tables = () if states.views is None else states.views.tables(layer.spot, intervals=intervals)
        found.append(measured.model_copy(update={"tables": tables}))
    return tuple(found)


def _key_of_all(key: str, *settings: object) -> str:
    return f"{key}-{hashlib.blake2b(repr(settings).encode(), digest_size=4).hexdigest()}"
