"""results/<study>.json -> figure.png: the score against centered anisotropy_1, a panel a study.

    python -m experiments.ablation.figure

Needs plotly, playwright and a Chromium on the machine.
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from experiments.ablation.record import HERE, records
from experiments.ablation.table import family
from plotly.colors import qualitative
from plotly.graph_objects import Figure, Scatter
from plotly.subplots import make_subplots

from conescope.ablation.arms import PLAIN
from conescope.results import Ablation, FrontPoint

COLUMNS = 3
SIZE = (1200, 330)  # pixels: the width of all, the height of a row
COLORS = (*qualitative.D3, *qualitative.Dark2)
SYMBOLS = ("circle", "square", "diamond", "triangle-up")  # one each time that the colors are used up
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def figure(found: Mapping[str, Ablation]) -> Figure:
    """Return a panel a study: means over the seeds, standard errors, and the front as a line."""
    arms = list(dict.fromkeys(family(point.arm) for one in found.values() for point in one.front))
    colored = [arm for arm in arms if arm != PLAIN]
    looks = {
        arm: (COLORS[at % len(COLORS)], SYMBOLS[at // len(COLORS) % len(SYMBOLS)])
        for at, arm in enumerate(colored)
    } | {PLAIN: ("black", "x")}
    columns = min(len(found), COLUMNS)
    rows = -(-len(found) // COLUMNS)
    drawn = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=list(found),
        vertical_spacing=0.3 / rows,
        horizontal_spacing=0.06,
    )
    named: set[str] = set()
    for place, one in enumerate(found.values()):
        at = {"row": place // columns + 1, "col": place % columns + 1}
        drawn.add_trace(_line(one), **at)
        for point in one.front:
            arm = family(point.arm)
            drawn.add_trace(_dot(point, arm, *looks[arm], new=arm not in named), **at)
            named.add(arm)
        drawn.update_xaxes(title_text="anisotropy_1, centered", **at)
        drawn.update_yaxes(title_text=one.main_score, **at)
    drawn.update_xaxes(gridcolor="#e6e6e6", title_font_size=11)
    drawn.update_yaxes(gridcolor="#e6e6e6", title_font_size=11)
    drawn.update_annotations(font_size=13)
    drawn.update_layout(
        width=SIZE[0],
        height=SIZE[1] * rows + 190,
        margin={"l": 50, "r": 10, "t": 30, "b": 190},
        plot_bgcolor="white",
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
    )
    return drawn


def _line(one: Ablation) -> Scatter:
    ends = sorted((point.anisotropy, point.score) for point in one.front if point.on_front)
    return Scatter(
        x=[x for x, _ in ends],
        y=[y for _, y in ends],
        mode="lines",
        line={"color": "#bbbbbb", "width": 1.4},
        showlegend=False,
    )


def _dot(point: FrontPoint, arm: str, color: str, symbol: str, *, new: bool) -> Scatter:
    def bars(error: float | None) -> dict[str, object]:
        return {"type": "data", "array": [error or 0], "width": 2, "thickness": 1}

    return Scatter(
        x=[point.anisotropy],
        y=[point.score],
        error_x=bars(point.anisotropy_error),
        error_y=bars(point.score_error),
        mode="markers",
        marker={"size": 8, "color": color, "symbol": symbol},
        name=arm,
        legendgroup=arm,
        showlegend=new,
    )


def main() -> None:
    """Draw the figure, as the browser shows it."""
    found = records(HERE)
    if not found:
        raise SystemExit(f"no record is in {HERE / 'results'}; run experiments.ablation.record first")
    from playwright.sync_api import sync_playwright

    drawn = figure(found)
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser_path is None:
        raise SystemExit(f"the figure is drawn by a browser, and none of {', '.join(BROWSERS)} is there")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = Path(folder) / "figure.html"
        drawn.write_html(page, include_plotlyjs=True, config={"staticPlot": True})
        browser = playwright.chromium.launch(executable_path=browser_path)
        size = {"width": SIZE[0] + 20, "height": int(drawn.layout.height) + 20}
        view = browser.new_page(viewport=size)
        view.goto(page.as_uri())
        view.wait_for_selector(".legend")
        view.locator(".plotly-graph-div").screenshot(path=HERE / "figure.png")
        browser.close()


if __name__ == "__main__":
    main()
