"""The verdict of an ablation in sentences: which arm helps, or that none does."""

from collections.abc import Sequence

from conescope.ablation.quantities import HEADLINE
from conescope.results import FrontPoint, PairedDifference

NUMBERED = 3  # with more arms in a sentence than this, their numbers are left to the table
MINDED = 0.1  # a loss of the main score that matters, as a share of plain training's
BESIDES = ("task", "calibration")  # what the main score may hide
NOT_WORSE = ("improved", "unchanged within noise")
WORDS = {"matthews": "Matthews correlation", "macro_f1": "macro F1", HEADLINE: "anisotropy_1, centered"}


def verdict(
    differences: Sequence[PairedDifference], front: Sequence[FrontPoint], main_score: str, seeds: int
) -> str:
    """Return what a reader should take home about task and isotropy.

    An arm helps if it improves the main score, or lowers centered anisotropy_1 while the main score is not
    worse, each by the adjusted p. "Not worse" means that no harm is shown, not that none is possible: where
    the interval holds a loss of more than `MINDED`, the sentence says so. Of the arms that help, those with
    another score, a log likelihood or a calibration that is worse are named. If no arm helps and plain
    training is on the front, the advice is to leave the model alone.
    """
    task = {each.arm: each for each in differences if each.name == main_score}
    shape = {each.arm: each for each in differences if each.name == HEADLINE}
    if not task:
        return "Nothing can be said yet: no arm has a seed in common with plain training."
    if not any(each.verdict != "not known" for each in (*task.values(), *shape.values())):
        few = "one seed shows" if seeds == 1 else f"these {seeds} seeds show"
        return f"Whether any arm helps is not known: {few} no spread to judge by; run three seeds or more."
    better = [arm for arm, each in task.items() if each.verdict == "improved"]
    rounder = [arm for arm, each in shape.items() if each.verdict == "improved" and arm in task]
    free = [arm for arm in rounder if task[arm].verdict in NOT_WORSE]
    risky = [arm for arm in free if _possible_loss(task[arm]) > MINDED * abs(task[arm].plain)]
    safe = [arm for arm in free if arm not in risky]
    costly = [arm for arm in rounder if task[arm].verdict == "worse"]
    unclear = [arm for arm in rounder if task[arm].verdict == "not known"]
    sentences = []
    if better:
        sentences.append(f"{_listed(better, [task])} {_verb('improve', better)} the task.")
    if safe:
        sentences.append(
            f"{_listed(safe, [shape, task])} {_verb('lower', safe)} centered anisotropy with no harm to the "
            "task beyond noise."
        )
    if risky:
        sentences.append(_not_ruled_out(risky, task, shape))
    if besides := _worse_besides([*better, *free], differences):
        sentences.append(f"Worse beyond noise all the same: {besides}.")
    if unclear:
        sentences.append(
            f"{_listed(unclear, [shape, task])} {_verb('lower', unclear)} centered anisotropy; what that "
            "does to the task is not known."
        )
    if not better and not free and not unclear:
        sentences.append(_none_helps(task, front))
    if costly:
        harm = "harm" if len(costly) > 1 else "harms"
        sentences.append(
            f"{_listed(costly, [shape, task])} {_verb('lower', costly)} anisotropy but {harm} the task."
        )
    return " ".join([*sentences, _correction(task, seeds)])


def _not_ruled_out(
    arms: Sequence[str], task: dict[str, PairedDifference], shape: dict[str, PairedDifference]
) -> str:
    losses = ", ".join(f"{_possible_loss(task[arm]):.3f} with {arm}" for arm in arms)
    return (
        f"{_listed(arms, [shape, task])} {_verb('lower', arms)} centered anisotropy; harm to the task is "
        f"neither shown nor ruled out, up to {losses}, of {task[arms[0]].plain:.3f}. More seeds would tell."
    )


def _possible_loss(task: PairedDifference) -> float:
    """Return the greatest loss that the interval holds; 0 without an interval, or if it holds none."""
    if task.adjusted_low is None or task.adjusted_high is None:
        return 0.0
    return max(0.0, -task.adjusted_low if task.better == "higher" else task.adjusted_high)


def _worse_besides(arms: Sequence[str], differences: Sequence[PairedDifference]) -> str:
    """Return the arms with what is worse of what the main score may hide, `koleo (nll, ece)`; or nothing."""
    worse: dict[str, list[str]] = {arm: [] for arm in arms}
    for each in differences:
        if each.arm in worse and each.kind in BESIDES and each.verdict == "worse":
            worse[each.arm].append(each.name)
    return ", ".join(f"{arm} ({', '.join(names)})" for arm, names in worse.items() if names)


def _none_helps(task: dict[str, PairedDifference], front: Sequence[FrontPoint]) -> str:
    plain = next((point for point in front if point.arm not in task), None)
    if plain is None or plain.on_front:
        reason = "plain training is on the front, and " if plain is not None else ""
        return (
            f"Leave this model alone: {reason}no arm improves the task, or lowers centered anisotropy "
            "without harm to the task, beyond noise."
        )
    ahead = [
        p.arm for p in front if p.score >= plain.score and p.anisotropy <= plain.anisotropy and p != plain
    ]
    return (
        f"No arm is better than plain training beyond noise. On average {', '.join(ahead)} "
        f"{'are' if len(ahead) > 1 else 'is'} ahead of it in task or isotropy and behind in neither: "
        "more seeds would tell."
    )


def _correction(task: dict[str, PairedDifference], seeds: int) -> str:
    tested = sum(each.p is not None for each in task.values())
    over = f"{seeds} seed{'s' if seeds != 1 else ''}"
    if tested > 1:
        return f"Over {over}, corrected for {tested} comparisons with plain (Holm, each quantity for itself)."
    return f"Over {over}; {'one' if tested else 'no'} comparison, so none to correct for."


def _verb(word: str, arms: Sequence[str]) -> str:
    return word if len(arms) > 1 else f"{word}s"


def _listed(arms: Sequence[str], tables: Sequence[dict[str, PairedDifference]]) -> str:
    if len(arms) > NUMBERED:
        return ", ".join(arms)
    return ", ".join(f"{arm} ({'; '.join(_numbers(table[arm]) for table in tables)})" for arm in arms)


def _numbers(found: PairedDifference) -> str:
    name = WORDS.get(found.name, found.name)
    if found.adjusted_low is None or found.adjusted_high is None:
        return f"{name} {found.difference:+.3f}"
    return f"{name} {found.difference:+.3f} [{found.adjusted_low:+.3f}, {found.adjusted_high:+.3f}]"
