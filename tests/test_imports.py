"""Nothing heavy loads before it is asked for, and the public names are there."""

import subprocess
import sys
from pathlib import Path

import pytest

import conescope

HEAVY = ["torch", "numpy", "scipy", "sklearn", "transformers", "plotly", "pyarrow", "pydantic"]


def loaded_by(code: str) -> list[str]:
    script = f"{code}\nimport sys\nprint(*(name for name in {HEAVY} if name in sys.modules))"
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()


def test_importing_conescope_loads_nothing_heavy():
    assert loaded_by("import conescope, conescope.cli") == []


def test_topology_needs_no_optional_package():
    assert set(loaded_by("import conescope\nconescope.topology")) <= {"torch", "numpy"}


def test_measures_and_losses_need_no_optional_package():
    found = loaded_by("import conescope\nconescope.losses, conescope.measure, conescope.results")
    assert set(found) <= {"torch", "numpy", "pydantic"}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("from conescope.scale import read_points; read_points(sys.argv[1])", "conescope[files]"),
        ("import conescope.training", "conescope[hf]"),
        (
            "from tests.samples.finetuning import finetuning\n"
            "from conescope.report import write_report; write_report(finetuning(), 'a.html')",
            "conescope[report]",
        ),
    ],
)
def test_a_missing_package_is_named_with_its_extra(code, message, tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"")
    block = (
        "import sys\nfor name in ('pyarrow', 'transformers', 'plotly', 'jinja2'): sys.modules[name] = None\n"
    )
    command = [sys.executable, "-c", block + code, str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    assert run.returncode == 1
    assert message in run.stderr.splitlines()[-1]


def test_public_names_are_sorted_and_complete():
    assert conescope.__all__ == sorted(conescope.__all__)
    assert dir(conescope) == sorted(conescope.__all__)
    assert all(hasattr(conescope, name) for name in conescope.__all__)
    for room in ("capture", "losses", "measures", "report", "results", "scale", "topology", "training"):
        module = getattr(conescope, room)
        assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        conescope.__getattr__("nope")
