"""One self-contained HTML page from a result: works from file://, in light and dark, and loads nothing.

Three fences stand between the data and the page. Jinja escapes every text it inserts; the figures
travel as JSON whose `<`, `>` and `&` are escaped, so no text can end the script element they sit in;
and a content security policy allows exactly the page's own two scripts, by hash, and no request.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from conescope._files import write_text
from conescope._optional import require
from conescope.report.drawing import Figure
from conescope.report.finetuning import finetuning_page
from conescope.results import FineTuning


def report_html(result: FineTuning) -> str:
    """Return the report of a fine-tuning comparison as one HTML document.

    Raises:
        ImportError: if plotly or jinja2 is missing; the message has the line that installs them.
    """
    return _render("finetuning.html", finetuning_page(result))


def write_report(result: FineTuning, path: str | Path) -> None:
    """Write the report to a file, whole or not at all; its folder is made if it is missing."""
    write_text(path, report_html(result))


def _render(template: str, page: dict[str, Any]) -> str:
    jinja2 = require("jinja2", extra="report")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_packaged),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The browser reads CRLF as LF, and the hash must be that of what it reads.
    bundle = require("plotly.offline", extra="report").get_plotlyjs().replace("\r\n", "\n")
    scripts = [bundle, _packaged("report.js")]
    trusted = require("markupsafe", extra="report").Markup
    html: str = environment.get_template(template).render(
        page,
        style=trusted(_packaged("report.css")),
        scripts=[trusted(script) for script in scripts],
        policy=_security_policy(scripts),
        figures_json=trusted(_json_for_script(page["figures"])),
    )
    return html


def _packaged(name: str) -> str:
    return files("conescope.report").joinpath(name).read_text(encoding="utf-8")


def _security_policy(scripts: Sequence[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts)
    sources = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {sources}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _json_for_script(figures: Sequence[Figure]) -> str:
    """Return the figures as JSON that no HTML parser can read as markup."""
    drawn = {figure.name: asdict(figure) for figure in figures}
    text = json.dumps(drawn, allow_nan=False, separators=(",", ":"))  # ASCII, so U+2028 is escaped too
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
