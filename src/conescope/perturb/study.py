"""`conescope.perturb.study`: the measures of a layer at several percentages of noise in the weights.

The points of all runs are the same tokens; repeats differ in the noise alone, and a repeat has the same noise
at every percentage. Without noise there is one run, since repeats of it would not differ.
"""

import re
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from conescope.capture import unwrapped
from conescope.capture.opening import Modality, open_model, prepare
from conescope.measures import MEASURES
from conescope.perturb.bench import Bench, dose, one_layer
from conescope.perturb.given_dose import told
from conescope.perturb.keeping import finish
from conescope.perturb.noise import Noise
from conescope.perturb.perturbed import check_perturbing
from conescope.perturb.weights import Parts, chosen_weights
from conescope.profile.running import Advance, device_of, evaluating, layers_of
from conescope.profile.settings import PointsOf, Settings
from conescope.results.perturbation import Perturbation
from conescope.survey.rows import chosen

if TYPE_CHECKING:
    from conescope.perturb.task import Budget, Task

PERCENTS = (0, 0.5, 1, 2, 3, 5, 10, 20, 50, 100)
DEFAULT_MEASURES = (
    "point_patchiness",
    "eee",
    "vrm",
    "isoscore",
    "mean_cosine",
    "mean_cosine_centered",
    "anisotropy_1",
    "effective_rank",
)


def study(
    model: str | Path | nn.Module,
    inputs: Sequence[Any] | Tensor,
    *,
    percents: Sequence[int | float] = PERCENTS,
    repeats: int = 3,
    seed: int = 1,
    parts: Parts = "encoder weights",
    layer_norm: bool = True,
    noise: Noise = "unit",
    measures: str | Sequence[str] | None = None,
    pooling: PointsOf = "tokens",
    special_tokens: bool = True,
    layer: int = -1,
    stack: str | None = None,
    modality: Modality | None = None,
    processor: Any = None,
    batch_size: int = 32,
    max_length: int | None = None,
    device: str | torch.device | None = None,
    sample: int = 2048,
    path: str | Path | None = None,
    title: str | None = None,
    tasks: "Sequence[Task]" = (),
    budget: "Budget | None" = None,
    advance: Advance | None = None,
    stage: Callable[[str], None] | None = None,
) -> Perturbation:
    """Return the measures of one layer of a model, at each percentage of noise and for each repeat.

    Args:
        model: a folder with a model of transformers, its name on the hub, or any module.
        inputs: as `conescope.profile_layers` takes them; texts such as those of `sample_sequences`.
        percents: of noise, from 0 to 100; each counts once.
        repeats: draws of the noise, with the seeds `seed`, `seed` + 1, ...
        seed: of the first draw, and of the sample of points.
        parts: which weights get noise; see `conescope.perturb.chosen_weights`.
        layer_norm: whether weights of normalizations are among them, as published.
        noise: "unit" or "matched"; see `conescope.perturb.perturbed`.
        measures: names from `conescope.measures.MEASURES`; None takes those of `DEFAULT_MEASURES` for which
            the packages are installed.
        pooling: what is a point: as published every token, or mean, first, last, cls.
        special_tokens: whether tokens such as [CLS] and [SEP] count, as published; padding never does.
        layer: which hidden state, counted as by `conescope.profile_layers`: 0 is what enters the first block,
            -1 the last one of the stack.
        stack: its name, where the model has several, such as an encoder and a decoder.
        modality: text, audio or image; None goes by the inputs.
        processor: tokenizer, feature extractor or image processor; None takes the model's own.
        batch_size: inputs of one forward pass.
        max_length: tokens (or samples of a sound) that are kept of an input; None for what the model takes.
        device: where to run; None for where the model is.
        sample: measures that look at pairs or cells take at most this many points, the same in every run.
        path: a folder that keeps each run as soon as it is done. A study that was stopped goes on there: runs
            of the same model, inputs and settings are not run again. It also gets perturbation.json.
        title: of the result; None for the name of the model.
        tasks: on which the model of every run is fine-tuned, and scored; see `conescope.perturb.read_task`.
            The seed of a repeat is that of its fine-tuning, too. Without noise there is one fine-tuning a
            repeat. Each score is kept in `path`, and a stopped fine-tuning goes on from its last checkpoint.
        budget: of each fine-tuning; None is `conescope.perturb.Budget()`.
        advance: is called with how many inputs are done, over all runs, and how many there are; then with
            steps of fine-tuning, over all of them.
        stage: is called with what is run next.

    Raises:
        ValueError: for a percentage or a number of repeats out of range, an unknown measure, stack or layer,
            a model in which no blocks or weights are found, and as `conescope.profile_layers` does. Hidden
            states that the noise makes infinite are named with their percentage.
    """
    levels = sorted({float(percent) for percent in percents})
    for percent in levels:
        check_perturbing(percent, noise)
    if not levels or repeats < 1:
        raise ValueError(
            f"a study has a percentage and a repeat at least, got {len(levels)} and {repeats}; give more"
        )
    named = [task.name for task in tasks]
    if len({re.sub(r"[._]", "-", name).casefold() for name in named}) < len(named):  # as files and figures
        raise ValueError(f"every task needs a name of its own, got {', '.join(named)}; rename one")
    settings = Settings(pooling, special_tokens, batch_size, sample, seed)
    rows = chosen(_installed() if measures is None else measures, labels=False, partners=False)
    opened = open_model(model)
    tower, prepared = prepare(opened, inputs, modality=modality, processor=processor, max_length=max_length)
    tower = unwrapped(tower)
    where = torch.device(device) if device is not None else device_of(tower)
    folder = None if path is None else Path(path)
    if tasks and prepared.modality != "text":
        raise ValueError(f"tasks are of text, but the inputs are {prepared.modality}; leave the tasks out")
    scorer = None
    if tasks:
        from conescope.perturb.scoring import scoring
        from conescope.perturb.task import Budget

        budget = budget or Budget()
        tasks = [budget.applied(task) for task in tasks]  # what can not be is said before anything is run
        scorer = scoring(tower, processor, opened.source, parts, layer_norm, noise, where)
    with evaluating(tower, where):
        weights = chosen_weights(tower, parts, layer_norm=layer_norm)
        found = one_layer(layers_of(tower, prepared, where, None), layer, stack)
        bench = Bench(tower, prepared, found, settings, rows, where, parts, layer_norm, noise, folder)
        runs = bench.runs(levels, repeats, advance, stage)
    spot = found.layers[0]
    result = Perturbation(
        title=opened.title if title is None else title,
        architecture=type(tower).__name__,
        modality=prepared.modality,
        pooling=pooling,
        special_tokens=special_tokens,
        inputs=len(prepared.sizes),
        stack=spot.stack,
        depth=spot.depth,
        module=spot.module,
        parts=parts,
        layer_norm=layer_norm,
        noise=noise,
        repeats=repeats,
        seed=seed,
        runs=runs,
        **dose(weights),
        notes=_notes(layer_norm, noise),
    )
    if folder is not None:
        finish(folder, result)
    if scorer is None or budget is None:
        return result
    with TemporaryDirectory() as elsewhere:
        place = Path(elsewhere) if folder is None else folder
        scored = scorer.scored(tasks, budget, place, runs, repeats, seed, advance, stage)
    said = [note for task in scored for note in told(task)]
    result = result.model_copy(update={"tasks": scored, "notes": (*result.notes, *said)})
    if folder is not None:
        finish(folder, result)
    return result


def _installed() -> list[str]:
    rows = [MEASURES[name] for name in DEFAULT_MEASURES]
    return [row.name for row in rows if not row.package or find_spec(row.package) is not None]


def _notes(layer_norm: bool, noise: Noise) -> tuple[str, ...]:
    lines = [
        "this is one model at several doses of noise: a measure and a score that both follow the dose "
        "correlate, which tells nothing of other models"
    ]
    if layer_norm and noise == "matched":
        lines.append(
            "weights of normalizations that are all the same have no spread, so that matched noise shrinks "
            "them; leave them out (layer_norm=False, --no-layer-norm) to perturb matrices alone"
        )
    return tuple(lines)
