"""The code of the README and the docs runs, and their links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "experiments").rglob("*.md")])
CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, block in enumerate(CODE.findall(page.read_text()), start=1):
        try:
            exec(compile(block, f"{page.name}, block {number}", "exec"), names)
        except Exception as problem:
            pytest.fail(f"{page.name}, block {number}: {type(problem).__name__}: {problem}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    targets = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    missing = [link for link in targets if not (page.parent / link).exists()]
    assert missing == []


def test_the_readme_names_every_command():
    from typer.main import get_command

    from conescope.cli import app

    text = (ROOT / "README.md").read_text()
    assert [name for name in get_command(app).commands if f"conescope {name}" not in text] == []
