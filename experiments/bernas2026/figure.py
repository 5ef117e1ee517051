"""results.json -> figure.png: energy in the tangent proxy and its nulls over the steps of each training.

    python -m experiments.bernas2026.figure

Needs plotly, playwright and a Chromium on the machine.
"""

import json
import shutil
import statistics
import tempfile
from pathlib import Path

from experiments.bernas2026.means import NAMES, of_model
from plotly.graph_objects import Figure, Scatter
from plotly.subplots import make_subplots

HERE = Path(__file__).parent
SIZE = (1000, 640)  # pixels
LINES = {  # of which number -> name, color, dash
    "energy": ("tangent proxy", "#0b6bb0", "solid"),
    "shuffled": ("shuffled gradients", "#d9860a", "solid"),
    "variance_share": ("variance share", "#d9860a", "dot"),
    "following": ("directions k + 1 to 2k", "#4d8f4d", "solid"),
    "normal": ("normal frames", "#777777", "solid"),
    "random": ("frames of the whole space", "#777777", "dot"),
    "other": ("proxy of another seed", "#8a4fa3", "solid"),
}


def curve(runs, name):
    """Return steps, and the mean over seeds of the mean over sites at each."""
    rows = [row for run in runs for row in run["other" if name == "other" else "steps"]]
    key = "energy" if name == "other" else name
    known = [(row["step"], row[key]) for row in rows if row[key] is not None]
    steps = sorted({step for step, _ in known})
    return steps, [statistics.fmean(value for at, value in known if at == step) for step in steps]


def figure(facts) -> Figure:
    """Return a panel a model; the fit ends at the dashed line, before it the steps were repeated."""
    drawn = make_subplots(
        rows=2, cols=2, subplot_titles=list(NAMES.values()), vertical_spacing=0.12, horizontal_spacing=0.06
    )
    for place, model in enumerate(NAMES):
        runs = of_model(facts, model)
        at = {"row": place // 2 + 1, "col": place % 2 + 1}
        for name, (label, color, dash) in LINES.items():
            steps, values = curve(runs, name)
            line = {"color": color, "dash": dash, "width": 2.4 if name == "energy" else 1.5}
            drawn.add_trace(
                Scatter(x=steps, y=values, line=line, name=label, legendgroup=label, showlegend=place == 0),
                **at,
            )
        drawn.add_vline(x=runs[0]["plan"]["fit"] - 0.5, line={"color": "#bbbbbb", "dash": "dash"}, **at)
    drawn.update_traces(mode="lines")
    drawn.update_yaxes(range=[0, 1], gridcolor="#e6e6e6", zerolinecolor="#bbbbbb")
    drawn.update_yaxes(title={"text": "share of the squared gradient", "font": {"size": 11}}, col=1)
    drawn.update_xaxes(gridcolor="#e6e6e6")
    drawn.update_xaxes(title={"text": "step", "font": {"size": 11}}, row=2)
    drawn.update_annotations(font_size=13)
    drawn.update_layout(
        width=SIZE[0],
        height=SIZE[1],
        margin={"l": 50, "r": 10, "t": 80, "b": 40},
        plot_bgcolor="white",
        legend={"orientation": "h", "y": 1.07, "yanchor": "bottom", "x": 0},
    )
    return drawn


def main() -> None:
    """Draw the figure, as the browser shows it."""
    from playwright.sync_api import sync_playwright

    drawn = figure(json.loads((HERE / "results.json").read_text()))
    browser_path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = Path(folder) / "figure.html"
        drawn.write_html(page, include_plotlyjs=True, config={"staticPlot": True})
        browser = playwright.chromium.launch(executable_path=browser_path)
        view = browser.new_page(viewport={"width": SIZE[0] + 20, "height": SIZE[1] + 20})
        view.goto(page.as_uri())
        view.wait_for_selector(".legend")
        view.locator(".plotly-graph-div").screenshot(path=HERE / "figure.png")
        browser.close()


if __name__ == "__main__":
    main()
