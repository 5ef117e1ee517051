"""results.json -> figure.png: mean cosine against depth, of every stack and its untrained twin.

    python -m experiments.godey2023.figure

Needs plotly, playwright and a Chromium on the machine.
"""

import json
import shutil
import tempfile
from pathlib import Path

from experiments.godey2023.table import stacks, title, value
from plotly.graph_objects import Figure, Scatter
from plotly.subplots import make_subplots

HERE = Path(__file__).parent
COLUMNS = 3
SIZE = (1100, 250)  # pixels: the width of all, the height of a row
LINES = {  # of whom, which measure -> name, color, dash
    ("trained", "mean_cosine"): ("trained", "#0b6bb0", "solid"),
    ("trained", "mean_cosine_centered"): ("trained, centered", "#0b6bb0", "dot"),
    ("untrained", "mean_cosine"): ("untrained", "#d9860a", "solid"),
    ("untrained", "mean_cosine_centered"): ("untrained, centered", "#d9860a", "dot"),
}


def figure(facts) -> Figure:
    """Return a panel a stack: depth from 0, what enters the first block, to 1, what comes out."""
    panels = list(stacks(facts))
    rows = -(-len(panels) // COLUMNS)
    drawn = make_subplots(
        rows=rows,
        cols=COLUMNS,
        subplot_titles=[title(model, data, stack) for model, data, stack, _, _ in panels],
        shared_yaxes=True,
        vertical_spacing=0.09,
        horizontal_spacing=0.03,
    )
    for place, (_, _, _, mine, twin) in enumerate(panels):
        for (whose, measure), (name, color, dash) in LINES.items():
            layers = mine if whose == "trained" else twin
            found = [value(layer, measure) for layer in layers]
            drawn.add_trace(
                Scatter(
                    x=[number / (len(layers) - 1) for number in range(len(layers))],
                    y=[one[0] for one in found],
                    error_y={
                        "type": "data",
                        "symmetric": False,
                        "array": [0 if one[2] is None else one[2] - one[0] for one in found],
                        "arrayminus": [0 if one[1] is None else one[0] - one[1] for one in found],
                        "width": 2,
                        "thickness": 1,
                    },
                    mode="lines+markers",
                    marker={"size": 4},
                    line={"color": color, "dash": dash, "width": 1.6},
                    name=name,
                    legendgroup=name,
                    showlegend=place == 0,
                ),
                row=place // COLUMNS + 1,
                col=place % COLUMNS + 1,
            )
    drawn.update_yaxes(range=[-0.15, 1.05], gridcolor="#e6e6e6", zerolinecolor="#bbbbbb")
    drawn.update_xaxes(gridcolor="#e6e6e6", tickvals=[0, 0.5, 1])
    drawn.update_annotations(font_size=13)
    drawn.update_layout(
        width=SIZE[0],
        height=SIZE[1] * rows + 70,
        margin={"l": 40, "r": 10, "t": 60, "b": 30},
        plot_bgcolor="white",
        legend={"orientation": "h", "y": 1.04 + 0.04 * (3 - min(rows, 3)), "yanchor": "bottom", "x": 0},
        title=None,
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
        size = {"width": SIZE[0] + 20, "height": int(drawn.layout.height) + 20}
        view = browser.new_page(viewport=size)
        view.goto(page.as_uri())
        view.wait_for_selector(".legend")
        view.locator(".plotly-graph-div").screenshot(path=HERE / "figure.png")
        browser.close()


if __name__ == "__main__":
    main()
