"""Marbut et al. (2024): does patchiness predict GLUE, or does it echo the dose of the perturbation?

    python -m experiments.marbut2024.run --data FOLDER

from the root of the repository, with the authors' four tables in FOLDER, writes results.json and table.md.
"""

import argparse
import json
import platform
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from experiments.marbut2024.selection import LARGEST, ranked
from experiments.marbut2024.table import table
from experiments.marbut2024.tables import CANDIDATES, FAMILIES, PATCHINESS, SINGLE, others, perturbed
from scipy.stats import binomtest, spearmanr

from conescope.predict import Columns, apply, predict
from conescope.predict.associations import partial
from conescope.predict.columns import complete
from conescope.predict.model import design
from conescope.results import Predicted, Prediction

HERE = Path(__file__).parent
SEED, PERMUTATIONS, BOOTSTRAPS = 0, 9999, 10_000
COMMAND = "python -m experiments.marbut2024.run --data FOLDER"


def captions(data: Path) -> list[dict[str, object]]:
    """Return the four published numbers and ours, with the column that the paper means and the other one."""
    found = []
    for what, families, group, published in (
        ("r, bert-small", ("bert-small",), None, "0.9"),
        ("r, roberta", ("roberta",), None, "0.64"),
        ("r^2, all", (), None, "0.3"),
        ("r^2, all + architecture", (), "family", "0.5"),
    ):
        rows = perturbed(data, *families)
        row: dict[str, object] = {"what": what, "published": published}
        for column in (PATCHINESS, "p-patchiness"):
            fit = predict(rows, target="glue", features=[column], group=group, draws=PERMUTATIONS, seed=SEED)
            r = fit.association(column, "linear")
            row[column] = r.value if families else fit.linear.r2
            row[f"{column} interval"] = [r.low, r.high] if families else None
            row["rows"], row["left_out"] = fit.rows, [one.name for one in fit.left_out]
        found.append(row)
    return found


def given_the_dose(data: Path) -> list[dict[str, object]]:
    """Return the correlations of patchiness with the score, as they are and with the dose taken out."""
    found = []
    for families in (("bert-small",), ("roberta",), tuple(FAMILIES)):
        rows = perturbed(data, *families)
        group = "family" if len(families) > 1 else None
        fit = predict(rows, target="glue", features=[PATCHINESS], group=group, control="alpha", draws=1)
        name = families[0] if len(families) == 1 else "all"
        of = [one.model_dump() for one in fit.associations]
        if families == ("bert-small",):
            of += between_runs(rows)
        found += [{"models": name, "rows": fit.rows, "dose": fit.dose.model_dump(), **one} for one in of]
    return found


def between_runs(rows: Columns) -> list[dict[str, object]]:
    """Return the correlations between runs of one dose: whatever the curve of the dose is, it is out."""
    kept, _ = complete(rows, ["glue", PATCHINESS, "alpha"])
    x, y, alpha = (rows.numbers(name)[kept] for name in (PATCHINESS, "glue", "alpha"))
    _, level = np.unique(alpha, return_inverse=True)
    levels = design(np.empty((len(x), 0)), level, int(level.max()) + 1)[:, 1:]
    return [
        partial(PATCHINESS, kind, ("level of alpha",), x, y, levels).model_dump()
        for kind in ("linear", "rank")
    ]


def regressions(data: Path) -> dict[str, tuple[Prediction, str]]:
    """Return those published: one measure, with and without a constant for each architecture."""
    rows = perturbed(data)
    options = {
        "target": "glue",
        "hold_out": "family",
        "control": "alpha",
        "draws": PERMUTATIONS,
        "seed": SEED,
    }
    return {
        f"{name}{' + architecture' if group else ''}": (
            predict(rows, features=[name], group=group, **options),
            "linear",
        )
        for name in SINGLE
        for group in (None, "family")
    }


def on_others(applied: Predicted) -> dict[str, object]:
    """Return errors on the 13, with intervals over the models."""
    known, guessed = (
        np.array([getattr(row, name) for row in applied.rows]) for name in ("known", "predicted")
    )
    squares = (known - guessed) ** 2
    rank = spearmanr(known, guessed)
    share = binomtest(applied.covered, len(known)).proportion_ci()
    return {
        "rmse": applied.errors.rmse,
        "rmse_interval": ends(np.sqrt(squares[drawn(len(known))].mean(axis=1))),
        "mae": applied.errors.mae,
        "r": applied.r,
        "rank_r": float(rank.statistic),
        "covered": applied.covered,
        "coverage_interval": [share.low, share.high],
        "mean_width": float(np.mean([row.high - row.low for row in applied.rows])),
        "outside": sum(bool(row.outside) for row in applied.rows),
        "squares": squares.tolist(),
        "rows": [row.model_dump(exclude={"group"}) for row in applied.rows],
    }


def drawn(count: int) -> np.ndarray:
    """Return numbers of models, drawn with replacement; the same for every regression."""
    return np.random.default_rng(SEED).integers(count, size=(BOOTSTRAPS, count))


def ends(values: np.ndarray) -> list[float]:
    """Return the ends of a 95 % percentile interval."""
    return np.quantile(values, [0.025, 0.975]).tolist()


def against(one: list[float], other: list[float]) -> dict[str, object]:
    """Return the difference of two root mean square errors on the same models, with its interval."""
    a, b = np.array(one), np.array(other)
    rows = drawn(len(a))
    found = np.sqrt(a[rows].mean(axis=1)) - np.sqrt(b[rows].mean(axis=1))
    return {"difference": float(np.sqrt(a.mean()) - np.sqrt(b.mean())), "interval": ends(found)}


def outcome(fit: Prediction, kind: str, new: Columns) -> dict[str, object]:
    """Return what is known of a regression: in sample, held out, and on the 13."""
    of = fit.regression(kind)
    return {
        "features": fit.features,
        "group": fit.group,
        "kind": kind,
        "rows": fit.rows,
        "r2": of.r2,
        "chance_high": of.chance.high,
        "chance_p": of.chance.p,
        "leave_one_out": of.leave_one_out.model_dump(),
        "families_out": {one.name: one.errors.model_dump() for one in of.groups_out},
        "family_out": of.leave_group_out.model_dump(),
        "dose_explains_all": fit.dose.explains_all,
        "others": on_others(apply(fit, new, kind=kind, unknown_groups="mean")),
    }


def run(data: Path) -> dict[str, object]:
    """Return all that is committed."""
    start = time.perf_counter()
    pooled, new = perturbed(data), others(data)
    published = {name: outcome(fit, kind, new) for name, (fit, kind) in regressions(data).items()}
    sets = ranked(pooled)  # sees the perturbed models alone
    first = sets[0]
    fit = predict(pooled, target="glue", features=first["features"], hold_out="family", control="alpha",
                  draws=PERMUTATIONS, seed=SEED)  # fmt: skip
    chosen = outcome(fit, first["kind"], new)
    known = new.numbers("glue")
    mean = float(np.mean(fit.target_values))
    squares = ((known - mean) ** 2).tolist()
    best = min(published, key=lambda name: published[name]["others"]["rmse"])
    pair = {f"chosen - {name}": against(chosen["others"]["squares"], other) for name, other in
            (("mean", squares), (best, published[best]["others"]["squares"]))}  # fmt: skip
    pair[f"{best} - mean"] = against(published[best]["others"]["squares"], squares)
    return {
        "command": COMMAND,
        "seed": SEED,
        "permutations": PERMUTATIONS,
        "bootstraps": BOOTSTRAPS,
        "captions": captions(data),
        "given_the_dose": given_the_dose(data),
        "published": published,
        "chosen": chosen,
        "best_published": best,
        "mean": {"value": mean, "rmse": float(np.sqrt(np.mean(squares))),
                 "rmse_interval": ends(np.sqrt(np.array(squares)[drawn(len(known))].mean(axis=1)))},
        "differences": pair,
        "selection": {"candidates": CANDIDATES, "largest": LARGEST, "sets": len(sets), "first": sets[:10]},
        "minutes": round((time.perf_counter() - start) / 60, 2),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("conescope", "numpy", "scipy")},
        },
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the authors' tables")
    facts = run(parser.parse_args().data)
    (HERE / "results.json").write_text(json.dumps(facts, indent=1) + "\n")
    (HERE / "table.md").write_text(table(facts))
    print(f"done in {facts['minutes']} minutes: {HERE / 'table.md'}")
