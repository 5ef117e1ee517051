"""The report in a real browser: it draws, obeys, stays silent, and asks nobody for anything."""

import json
import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

from conescope.report import write_report
from tests.report import hostile
from tests.samples.finetuning import finetuning

pytestmark = pytest.mark.browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DRAWN = """plot => ({
    traces: plot.data.filter(trace => trace.visible !== false).length,
    svg: plot.querySelectorAll('svg.main-svg').length,
    marks: [...plot.querySelectorAll('.js-line, .point path, path.point')]
        .filter(path => (path.getAttribute('d') || '').length > 8).length,
    height: plot.getBoundingClientRect().height,
})"""


class Visit:
    """One open report, and everything in it that should not have happened."""

    def __init__(self, page, path):
        self.page = page
        self.trouble = []
        page.on("console", lambda message: self.trouble.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        page.on("request", self.note_request)
        page.on("dialog", self.note_dialog)
        page.goto(path.as_uri())

    def note_request(self, request):
        if not request.url.startswith(("file:", "data:,")):
            self.trouble.append(f"request: {request.url}")

    def note_dialog(self, dialog):
        self.trouble.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def plots(self):
        return self.page.query_selector_all(".plot")

    def check_all_drawn(self):
        for plot in self.plots():
            drawn, name = plot.evaluate(DRAWN), plot.get_attribute("id")
            assert drawn["svg"] > 0, name
            assert drawn["traces"] > 0, name
            assert drawn["marks"] >= drawn["traces"], name
            assert drawn["height"] > 150, name

    def evaluate(self, script):
        return self.page.evaluate(script)

    def until(self, script):
        """Wait until the script gives true. Playwright's own wait needs eval, which the page forbids."""
        for _ in range(100):
            if self.page.evaluate(script):
                return
            self.page.wait_for_timeout(50)
        pytest.fail(f"never true: {script}")


@pytest.fixture(scope="module")
def browser():
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        message = f"none of {', '.join(BROWSERS)} is on the path"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, tmp_path):
    contexts = []

    def open_report(result, width=1280, scheme="light"):
        write_report(result, tmp_path / "report.html")
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme))
        return Visit(contexts[-1].new_page(), tmp_path / "report.html")

    yield open_report
    for context in contexts:
        context.close()


def background(visit):
    return visit.evaluate("getComputedStyle(document.body).backgroundColor")


def line_color(visit):
    return visit.evaluate("document.querySelector('#plot-spectrum .js-line').style.stroke")


def wait_for_other_lines(seen, color):
    """Charts are drawn anew after the page has its colors: wait until a line has another one."""
    seen.until(f"document.querySelector('#plot-spectrum .js-line').style.stroke !== {json.dumps(color)}")


def test_report_draws_and_obeys(visit):
    seen = visit(finetuning())
    seen.check_all_drawn()
    assert len(seen.plots()) == 10

    # Light and dark: with the system, then by the reader's choice, then against the system.
    light = background(seen), line_color(seen)
    seen.page.emulate_media(color_scheme="dark")
    wait_for_other_lines(seen, light[1])
    dark = background(seen), line_color(seen)
    assert light[0] == "rgb(253, 253, 251)"
    assert dark[0] == "rgb(18, 21, 24)"
    assert light[1] != dark[1]
    seen.check_all_drawn()
    seen.page.click("#theme")
    wait_for_other_lines(seen, dark[1])
    assert (background(seen), line_color(seen)) == light
    seen.page.emulate_media(color_scheme="light")
    seen.page.click("#theme")
    wait_for_other_lines(seen, light[1])
    assert (background(seen), line_color(seen)) == dark
    seen.check_all_drawn()

    # Choosers change what is drawn and what is said about it.
    first = seen.evaluate("document.getElementById('plot-spectrum').data[2].y[0]")
    seen.page.select_option("select[data-plots=plot-spectrum]", label="seed 1")
    assert seen.evaluate("document.getElementById('plot-spectrum').data[2].y[0]") != first
    seen.page.select_option("select[data-plots=plot-barcode-0]", label="after, plain, seed 1")
    label = seen.page.get_attribute("#plot-barcode-0", "aria-label")
    assert label.startswith("Barcode after, plain, seed 1.")
    words = seen.page.text_content("[data-says=plot-map-1]")
    seen.page.select_option("#map select", label="seed 1")
    assert seen.page.text_content("[data-says=plot-map-1]") != words
    seen.check_all_drawn()

    # A legend entry hides its arm in the figures of its section, and shows it again.
    lines = "document.querySelectorAll('#plot-task-loss .js-line').length"
    assert seen.evaluate(lines) == 6
    seen.page.click("#training [data-group=arm-0]")
    assert seen.evaluate(lines) == 3
    assert seen.evaluate("document.querySelectorAll('#plot-spectrum .js-line').length") == 3
    seen.page.click("#training [data-group=arm-0]")
    assert seen.evaluate(lines) == 6

    # Copying, or marking where there is no clipboard.
    seen.page.click("[data-copy]")
    seen.until("document.querySelector('[data-copy]').textContent !== 'Copy'")

    # A narrower window: same heights, and nothing sticks out of the page.
    height = seen.page.query_selector("#plot-barcode-0").bounding_box()["height"]
    seen.page.set_viewport_size({"width": 400, "height": 800})
    seen.until("document.querySelector('#plot-barcode-0 .main-svg').clientWidth < 400")
    assert seen.page.query_selector("#plot-barcode-0").bounding_box()["height"] == height
    assert seen.evaluate("document.documentElement.scrollWidth") == 400
    seen.check_all_drawn()

    # Paper: light, whatever the screen was, and back.
    seen.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert (background(seen), line_color(seen)) == light
    seen.check_all_drawn()
    seen.evaluate("dispatchEvent(new Event('afterprint'))")
    assert (background(seen), line_color(seen)) == dark
    assert seen.trouble == []


def test_hostile_texts_are_shown_as_they_are(visit):
    names = [*hostile.TEXTS, *(f"class {number}" for number in range(16))]
    result = finetuning(
        classes=names,
        regularized=[*hostile.TEXTS],
        seeds=(0, 1, 2),
        title=hostile.SCRIPT,
        notes=hostile.TEXTS,
        points=100,
        bars=12,
    )
    result = result.model_copy(update={"verdict": hostile.IMAGE, "command": hostile.END})
    seen = visit(result, width=1000, scheme="dark")
    seen.check_all_drawn()
    assert seen.page.title().startswith(hostile.SCRIPT)
    assert seen.page.text_content("h1") == hostile.IMAGE
    assert seen.evaluate("document.querySelectorAll('img, main script, svg a, [onerror]').length") == 0
    shown = seen.evaluate(
        "[...document.querySelectorAll('#plot-barcode-0 .annotation-text')].map(text => text.textContent)"
    )
    assert shown[0] == hostile.SCRIPT
    assert shown[2] == hostile.IMAGE
    assert shown[4].split() == hostile.END.split()
    assert shown[6] == hostile.PLOTLY[:39] + "…"
    seen.page.hover("#plot-map-before .point >> nth=0", force=True)
    seen.page.wait_for_selector("#plot-map-before .hovertext")
    hover = seen.page.text_content("#plot-map-before .hovertext")
    assert hover in [*names, hostile.PLOTLY[:39] + "…"]
    assert seen.trouble == []


@pytest.mark.parametrize("plain", [True, False], ids=["plain arm alone", "regularized arm alone"])
def test_one_run_alone(visit, plain):
    regularized = () if plain else ("persistent-entropy",)
    seen = visit(
        finetuning(plain=plain, regularized=regularized, seeds=(3,), classes=("no", "yes")), width=400
    )
    seen.check_all_drawn()
    assert len(seen.plots()) == (2 if plain else 4) + 1 + 2 + 2
    assert seen.page.query_selector("#map select") is None  # one seed leaves nothing to choose
    assert seen.evaluate("document.documentElement.scrollWidth") == 400
    assert seen.trouble == []
