"""Tables for the tests of `conescope.predict`."""

import csv

import numpy as np

from conescope.predict import Columns


def table(**columns):
    """Return columns of text; `model` names the rows."""
    cells = {name: tuple(str(value) for value in column) for name, column in columns.items()}
    count = len(next(iter(cells.values())))
    return Columns("table", cells.get("model", tuple(f"row {n + 1}" for n in range(count))), cells)


def written(path, **columns):
    """Write columns as CSV and return the path."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([list(columns), *zip(*columns.values(), strict=True)])
    return path


def families(n=60, seed=0, slope=2.0, noise=0.3):
    """Return columns of three families of equal size with constants 0, 1 and -2, and a target y."""
    rng = np.random.default_rng(seed)
    family = np.repeat(["a", "b", "c"], n // 3)
    x, z = rng.normal(size=(2, n))
    shift = np.array([{"a": 0.0, "b": 1.0, "c": -2.0}[name] for name in family])
    return {"x": x, "z": z, "family": family, "y": slope * x + shift + noise * rng.normal(size=n)}
