"""Records of ablations -> the tables of table.md."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from conescope.ablation.quantities import HEADLINE
from conescope.ablation.statistics import SIGNIFICANT
from conescope.results import Ablation, AblationArm, PairedDifference

GAP = "score_gap"  # stands for that of the main score
COLUMNS = {  # quantity -> heading; the score and its gap are in front and at their place
    HEADLINE: "anisotropy_1, centered",
    "anisotropy_1_uncentered": "uncentered",
    "anisotropy_1_within_class": "within class",
    "nll": "NLL",
    "ece": "ECE",
    "steps_to_reach": "steps to plain's score",
    GAP: "gap of the score",
    "nll_gap": "gap of NLL",
}
INTERVALS = (HEADLINE,)  # and the score: these decide
HOW = """\
Every number is an arm minus plain training with the same seed, as a mean over seeds; the row of plain has its
own values. In brackets the 95 % interval, Bonferroni over the arms, and p of the paired t test, adjusted by
Holm over the arms. Bold: adjusted p below 0.05. "?": not judged, as there is one seed, a seed is missing
because of how it ended, or all seeds differ by the same amount. Of scores the higher is better, of all else
the lower; of gaps only beside the score. The share is that of the regularizer in a step. Nothing is
corrected over columns, nor over studies."""


def table(found: Mapping[str, Ablation], every: Sequence[str]) -> str:
    """Return table.md, of the records by study; `every` names the studies that there are to be."""
    missing = [name for name in every if name not in found]
    lines = [
        "# What the ablations found",
        "",
        f"Studies with results: {', '.join(found) or 'none'}. Without: {', '.join(missing) or 'none'}.",
        "",
        HOW,
        "",
    ]
    if found:
        lines += [*_summary(found), *_seconds(found)]
    for name, one in found.items():
        lines += [*_study(name, one), *_by_seed(one), *_choices(one)]
    return "\n".join(lines).rstrip() + "\n"


def number(value: float | None, *, sign: bool = False) -> str:
    """Return a number with three decimals, with two digits if it is smaller, or short if it is large."""
    if value is None:
        return ""
    text = f"{value:+.3f}" if sign else f"{value:.3f}"
    if abs(value) >= 100:
        return f"{value:+.0f}" if sign else f"{value:.0f}"
    if 0 < abs(value) < 0.01:
        return f"{value:+.2g}" if sign else f"{value:.2g}"
    return text


def cell(found: PairedDifference | None, *, interval: bool) -> str:
    """Return a difference, bold if it is one beyond noise, with its interval and p if asked."""
    if found is None:
        return ""
    text = number(round(found.difference, 9), sign=True)  # equal means may differ by rounding
    if found.adjusted_p is None:
        return f"{text} ?"
    if found.adjusted_p < SIGNIFICANT:
        text = f"**{text}**"
    if not interval:
        return text
    ends = f"[{number(found.adjusted_low, sign=True)}, {number(found.adjusted_high, sign=True)}]"
    return f"{text} {ends} p {number(found.adjusted_p)}"


def family(arm: str) -> str:
    """Return the name of an arm without its weight, which differs between studies."""
    name, _, options = arm.partition(":")
    left = [option for option in options.split(",") if option and not option.startswith("weight=")]
    return f"{name}:{','.join(left)}" if left else name


def _rows(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table, with an empty one after it."""
    lines = [heads, ["---"] * len(heads), *rows]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def _study(name: str, found: Ablation) -> Iterator[str]:
    score = found.main_score
    of = {(each.arm, each.name): each for each in found.differences}
    front = {point.arm for point in found.front if point.on_front}
    heading = {score: score} | {key.replace(GAP, f"{score}_gap"): head for key, head in COLUMNS.items()}
    plain_values = {each.name: each.plain for each in found.differences}
    columns = {key: head for key, head in heading.items() if key in plain_values}

    def row(arm: AblationArm) -> list[str]:
        if arm.settings is None:
            cells, share, words = [number(plain_values.get(key)) for key in columns], "", ""
        else:
            cells = [cell(of.get((arm.name, key)), interval=key in (score, *INTERVALS)) for key in columns]
            taken = of.get((arm.name, "regularizer_share"))
            share = "" if taken is None else f"{100 * taken.treated:.2f} %"
            words = _words(of.get((arm.name, score)), of.get((arm.name, HEADLINE)))
        on_front = "yes" if arm.name in front else ""
        return [f"`{arm.name}`", *cells, share, on_front, words]

    yield f"## {name}"
    yield ""
    yield (
        f"{found.title[:1].upper()}{found.title[1:]}: {found.data.get('train_examples', '?')} examples to "
        f"train on, {found.data.get('dev_examples', '?')} to report on, batches of "
        f"{found.recipe.get('batch_size', found.recipe.get('batch', '?'))}, "
        f"seeds {', '.join(map(str, found.seeds))}."
    )
    yield ""
    for note in found.notes:
        yield from (f"Note: {note}.", "")
    yield from (found.verdict, "")
    heads = ["arm", *columns.values(), "share of a step", "front", "verdict"]
    yield from _rows(heads, [row(arm) for arm in found.arms])
    yield from _warnings(found)


def _by_seed(found: Ablation) -> Iterator[str]:
    """Yield the score and the anisotropy of each run, and what an arm takes of plain's anisotropy."""
    of = {each.arm: each for each in found.differences if each.name == HEADLINE}
    rows = []
    for arm in found.arms:
        runs = sorted(arm.runs, key=lambda run: run.seed)
        taken = "" if arm.name not in of else f"{100 * of[arm.name].difference / of[arm.name].plain:+.0f} %"
        scores = ", ".join(number(run.scores.get(found.main_score)) or "?" for run in runs)
        shapes = ", ".join(number(run.geometry.get(HEADLINE)) or "?" for run in runs)
        rows.append([f"`{arm.name}`", scores, shapes, taken])
    yield f"By seed, {', '.join(map(str, sorted(found.seeds)))}:"
    yield ""
    yield from _rows(["arm", found.main_score, COLUMNS[HEADLINE], "its mean, against plain's"], rows)


def _words(task: PairedDifference | None, shape: PairedDifference | None) -> str:
    known = [
        f"{what} {each.verdict}"
        for what, each in (("score", task), ("anisotropy", shape))
        if each is not None
    ]
    return "; ".join(known)


def _warnings(found: Ablation) -> Iterator[str]:
    """Yield what the log warned of: which kind, in how many runs of an arm; numbers differ by run."""
    for arm in found.arms:
        warned = sum(bool(run.warnings) for run in arm.runs)
        if warned:
            first = next(run.warnings[0] for run in arm.runs if run.warnings)
            yield f"- `{arm.name}`: warnings in {warned} of {len(arm.runs)} runs, the first: {first}"
    if any(run.warnings for arm in found.arms for run in arm.runs):
        yield ""


def _choices(found: Ablation) -> Iterator[str]:
    if found.choices:
        yield "Weights that were chosen on a split of the training data:"
        yield ""
        rows = [[f"`{one.arm}`", f"{one.weight:g}", one.reason] for one in found.choices]
        yield from _rows(["arm", "weight", "reason"], rows)


def _summary(found: Mapping[str, Ablation]) -> Iterator[str]:
    """Yield for each regularizer, whatever its weight, in how many studies it did what."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in found.values():
        front = {point.arm for point in one.front if point.on_front}
        for arm in one.arms:
            counts[family(arm.name)]["studies"] += 1
            counts[family(arm.name)]["front"] += arm.name in front
        for each in one.differences:
            if each.name in (one.main_score, HEADLINE):
                quantity = "score" if each.name == one.main_score else "anisotropy"
                counts[family(each.arm)][f"{quantity} {each.verdict}"] += 1
    heads = {
        "studies": "studies",
        "front": "on the front",
        "score improved": "score improved",
        "score worse": "score worse",
        "score unchanged within noise": "score unchanged within noise",
        "anisotropy improved": "anisotropy lower",
        "anisotropy worse": "anisotropy higher",
    }
    order = sorted(counts, key=lambda arm: (-counts[arm]["front"] / counts[arm]["studies"], arm))
    yield from ("## Over the studies", "")
    yield (
        "In how many studies an arm was on the front, and what was beyond noise there. Weights differ by "
        "study, studies of one data set are not independent, and a front of few arms is easy to be on."
    )
    yield ""
    yield from _rows(
        ["arm", *heads.values()], [[f"`{arm}`", *(str(counts[arm][key]) for key in heads)] for arm in order]
    )


def _seconds(found: Mapping[str, Ablation]) -> Iterator[str]:
    rows = []
    for name, one in found.items():
        runs = [run for arm in one.arms for run in arm.runs]
        minutes = sum(run.seconds for run in runs) / 60
        machine = f"{one.hardware.get('device', '?')}, {one.hardware.get('precision', '?')}"
        threads = str(one.hardware.get("threads", "?"))
        rows.append([name, str(len(one.seeds)), str(len(runs)), f"{minutes:.1f}", machine, threads])
    yield "Minutes are those of the reported runs, beside other work; the tries of weights are not in them."
    yield ""
    yield from _rows(["study", "seeds", "runs", "minutes", "machine", "threads"], rows)
