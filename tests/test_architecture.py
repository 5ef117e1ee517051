"""The house rule that has a machine to keep it: imports point down, never up or sideways."""

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "conescope"

# Each floor may import the floors written before it. Rooms on one floor do not know each other.
FLOORS = [
    [
        "_types",
        "_check",
        "_closed_forms",
        "_copies",
        "_optional",
        "_files",
        "_intervals",
        "_checkpoints",
        "_devices",
        "results",
    ],
    ["topology", "scale", "capture", "predict"],
    ["measures", "losses", "transforms"],
    ["survey"],
    ["profile", "training", "dynamics"],
    ["perturb", "ablation"],
    ["report"],
    ["cli"],
    ["__main__"],
]
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}


def rooms_imported_by(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write imports in full, from conescope down"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("conescope."))


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.py")), ids=lambda path: str(path.relative_to(SRC)))
def test_imports_point_down(path):
    room = path.relative_to(SRC).parts[0].removesuffix(".py")
    if room == "__init__":
        return
    for other in rooms_imported_by(path):
        if other == "__version__":
            continue
        sideways_ok = other == room or HEIGHT[other] == HEIGHT[room] == 0
        assert sideways_ok or HEIGHT[other] < HEIGHT[room], f"{room} must not import {other}"
