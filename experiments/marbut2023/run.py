"""EEE, PC ratio and VRM of the 28 synthetic clouds of Marbut et al. (2023).

    python -m experiments.marbut2023.run

from the root of the repository writes results.json and table.md beside this file. Nothing is downloaded.
"""

import json
import platform
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from experiments.marbut2023.shapes import PAIR, SEED, SHAPES, cloud

from conescope.measures.eee import eee_from_spectrum
from conescope.measures.spectrum import spectrum
from conescope.measures.vrm import gaussian_vrm_from_spectrum, vasicek_ratios, vrm

HERE = Path(__file__).parent
DIMENSIONS = (2, 10, 50, 100)
PUBLISHED = {  # EEE, PC ratio, VRM
    ("ball", 10): (0.0323, 0.821, 0.0011),
    ("shell", 10): (0.0307, 0.838, 0.0012),
    ("cone", 10): (0.1155, 0.0807, 0.0603),
    ("symmetric clusters", 10): (0.4987, 0.0126, 0.1983),
}
COMMAND = "python -m experiments.marbut2023.run"


def measured(shape: str, d: int) -> dict[str, float | int | str]:
    """Return the measures of one cloud, not rounded."""
    points = torch.from_numpy(cloud(shape, d))
    n, found, ratios = len(points), spectrum(points), vasicek_ratios(points)
    drawn = np.random.RandomState(SEED).normal(size=(n, d)).var(axis=0, ddof=1).sum() / d
    return {
        "shape": shape,
        "d": d,
        "n": n,
        "eee": float(eee_from_spectrum(found)),
        "pc_ratio": float(found.squares[-1] / found.squares[0]),  # least variance over the largest
        "vrm": float(vrm(points)),
        # the authors scale to the variance of a Gaussian sample; if it is drawn with the same seed:
        "vrm_seeded": float((1 - ratios * drawn**0.5).square().mean()),
        # and the change of VRM by one standard deviation of that variance, whatever the seed
        "vrm_scatter": float((2 * ratios * (1 - ratios)).mean().abs() / (2 * n * d) ** 0.5),
        "gaussian_vrm": float(gaussian_vrm_from_spectrum(found)),
    }


def run() -> dict[str, object]:
    """Return all that is committed."""
    start = time.perf_counter()
    clouds = [measured(shape, d) for shape in SHAPES for d in DIMENSIONS]
    return {
        "command": COMMAND,
        "seed": SEED,
        "points_a_dimension": PAIR,
        "seconds": round(time.perf_counter() - start, 2),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("conescope", "numpy", "torch")},
        },
        "clouds": clouds,
        "published": [
            {"shape": shape, "d": d, "eee": eee, "pc_ratio": ratio, "vrm": value}
            for (shape, d), (eee, ratio, value) in PUBLISHED.items()
        ],
    }


def table(found: dict[str, object]) -> str:
    """Return one line a cloud; published values stand in brackets."""
    published = {(row["shape"], row["d"]): row for row in found["published"]}
    lines = [
        "| shape | d | EEE | PC ratio | VRM | VRM, seeded | scatter |",
        "|" + " --- |" * 7,
    ]
    for row in found["clouds"]:
        known = published.get((row["shape"], row["d"]))
        cells = [row["shape"], str(row["d"])]
        for name, digits in (("eee", ".4f"), ("pc_ratio", ".4g"), ("vrm", ".4f")):
            cells.append(f"{row[name]:{digits}}" + (f" ({known[name]})" if known else ""))
        cells += [f"{row['vrm_seeded']:.4f}", f"{row['vrm_scatter']:.4f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    facts = run()
    (HERE / "results.json").write_text(json.dumps(facts, indent=1) + "\n")
    (HERE / "table.md").write_text(table(facts))
    print(f"{len(facts['clouds'])} clouds in {facts['seconds']} s, {HERE / 'table.md'}")
