"""The four tables of the authors as columns: perturbed models of three families, and 13 others."""

from pathlib import Path

from conescope.predict import Columns, read_columns

FAMILIES = {  # family: its file, and the column that holds the mean score
    "bert-small": ("bert_small_metrics.csv", "new_average"),
    "roberta": ("roberta_model_metrics.csv", "average"),
    "bert-base": ("bert_model_metrics.csv", "average"),
}
OTHERS, OTHERS_SCORE = "alt_model_metrics.csv", "glue_average"
PATCHINESS = "a-patchiness"  # cells of the additive quantizer
SINGLE = (PATCHINESS, "EEE", "VRM", "IsoScore")  # regressed on one by one

# Numbers that all four files have, without a gap in the rows with a measure: candidates of the selection.
CANDIDATES = (
    *(f"{kind}-{name}" for kind in "pa" for name in ("error", "centroids", "point_dist", "patchiness")),
    *(f"{kind}-{name}" for kind in "pa" for name in ("count_var", "count_kl")),
    "EEE",
    "VRM",
    "IsoScore",
)


def perturbed(folder: Path, *families: str) -> Columns:
    """Return the rows of some families, all if none is named, with the columns `family`, `glue`, `alpha`."""
    parts = []
    for family in families or FAMILIES:
        file, score = FAMILIES[family]
        found = read_columns(folder / file)
        cells = {name: found.column(name) for name in (*CANDIDATES, "alpha")}
        own = {"glue": found.column(score), "family": (family,) * len(found.names)}
        parts.append((found.names, {**cells, **own}))
    names = tuple(name for found, _ in parts for name in found)
    cells = {head: tuple(cell for _, each in parts for cell in each[head]) for head in parts[0][1]}
    return Columns("the perturbed models", names, cells)


def others(folder: Path) -> Columns:
    """Return the 13 models that were trained in other ways."""
    found = read_columns(folder / OTHERS)
    return found._replace(cells={**found.cells, "glue": found.column(OTHERS_SCORE)})
