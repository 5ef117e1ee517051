"""The page of a perturbation study: what it draws and says is what the result holds."""

import pytest

from conescope.report import perturbation_html, write_perturbation
from conescope.results import Measurement, Perturbation, PerturbedRun
from tests.profile.profiled import values
from tests.report import hostile, test_browser
from tests.report.page import Page
from tests.report.test_barcode import by_id, figures, rows_of

browser = test_browser.browser  # a fixture

PERCENTS = (0.0, 1.0, 10.0)
CHANGES = (-0.02, 0.0, 0.05)  # of the repeats


def result(percents=PERCENTS, title="made", undefined=()):
    """Return a study in which isoscore is percent / 100 and a change a repeat, and vrm is minus that."""

    def run(percent, number):
        value = percent / 100 + (CHANGES[number] if percent else 0.3)
        lost = (percent, number) in undefined
        return PerturbedRun(
            percent=percent,
            seed=1 + number,
            key="k",
            constant=False,
            measurement=Measurement(n=9, d=4, values=values(isoscore=None if lost else value, vrm=-value)),
        )

    return Perturbation(
        title=title,
        architecture="Made",
        modality="text",
        pooling="tokens",
        special_tokens=True,
        inputs=5,
        stack="",
        depth=2,
        module="layers.1",
        parts="encoder weights",
        layer_norm=True,
        noise="unit",
        tensors=16,
        weights=1000,
        spread=0.0213,
        repeats=3,
        seed=1,
        runs=tuple(run(percent, number) for percent in percents for number in range(3 if percent else 1)),
        notes=("a note",),
    )


def test_figures_hold_means_and_ranges():
    drawn = figures(perturbation_html(result()))
    assert list(drawn) == ["response-isoscore", "response-vrm"]
    linear, logarithmic = drawn["response-isoscore"]["views"]
    assert (linear["layout"]["xaxis"]["type"], logarithmic["layout"]["xaxis"]["type"]) == ("linear", "log")
    before, line = linear["data"]
    assert (before["x"], before["y"]) == ([0, 10], [0.3, 0.3])
    assert line["x"] == [0, 1, 10]
    assert line["y"] == [0.3, 0.02, 0.11]  # the mean of the changes is 0.01
    assert line["error_y"]["array"] == [0, 0.04, 0.04]
    assert line["error_y"]["arrayminus"] == [0, 0.03, 0.03]
    before, line = logarithmic["data"]
    assert (before["x"], before["y"]) == ([1, 10], [0.3, 0.3])
    assert (line["x"], line["y"]) == ([1, 10], [0.02, 0.11])
    assert "0 %: 0.3000; 1 %: 0.02000; 10 %: 0.1100" in linear["alt"]


def test_table_and_words():
    page = Page(perturbation_html(result()))
    minus = "\N{MINUS SIGN}"
    assert rows_of(page, "values") == [
        ["IsoScore", "0.3000", "0.02000", "0.1100"],
        ["VRM", f"{minus}0.3000", f"{minus}0.02000", f"{minus}0.1100"],
    ]
    tips = [span.attributes["title"] for span in page.inside(by_id(page, "values"), "span")]
    assert tips[1] == f"{minus}0.01000 to 0.06000 over 3"
    words = by_id(page, "verdict").text
    assert "a note" in words
    assert "0.0213" in words
    assert "standard deviation 1" in by_id(page, "curves").text


def test_what_is_undefined_is_left_out_and_said():
    lost = {(1.0, 0), (1.0, 1), (1.0, 2), (10.0, 2)}
    made = result(undefined=lost)
    answer = made.response("isoscore", 10)
    assert (answer.defined, answer.repeats, answer.low, answer.high) == (2, 3, 0.08, 0.1)
    assert made.response("isoscore", 1).mean is None
    html = perturbation_html(made)
    _, line = figures(html)["response-isoscore"]["views"][0]["data"]
    assert (line["x"], line["y"]) == ([0, 10], [0.3, 0.09])
    page = Page(html)
    assert rows_of(page, "values")[0] == ["IsoScore", "0.3000", "\N{EN DASH}", "0.09000"]
    tips = [span.attributes["title"] for span in page.inside(by_id(page, "values"), "span")]
    assert tips[1:3] == ["n", "0.08000 to 0.1000 over 2, undefined in 1"]


def test_without_noise_there_is_no_logarithmic_axis():
    html = perturbation_html(result(percents=(0.0,)))
    assert [view["label"] for view in figures(html)["response-vrm"]["views"]] == ["linear"]
    assert Page(html).all("select") == []


def test_a_percentage_or_a_measure_that_is_not_there_is_named():
    with pytest.raises(KeyError, match="no run at 2 percent; there are 0, 1, 10"):
        result().response("isoscore", 2)
    with pytest.raises(KeyError, match="beauty was not measured; there are isoscore, vrm"):
        result().responses("beauty")


def test_the_text_has_every_mean():
    lines = str(result()).splitlines()
    assert lines[0].startswith("made (Made): mean and range at each percentage of unit noise")
    assert lines[1:4] == ["isoscore", "       0 %  0.3  [0.3, 0.3]", "       1 %  0.02  [-0.01, 0.06]"]
    assert lines[-1] == "a note"


def test_the_file_is_the_page_of_what_was_saved(tmp_path):
    saved = Perturbation.model_validate_json(result().to_json())
    write_perturbation(saved, tmp_path / "deep" / "page.html")
    assert (tmp_path / "deep" / "page.html").read_text() == perturbation_html(result())


@pytest.mark.browser
def test_page_in_a_browser(browser, tmp_path):
    write_perturbation(result(title=hostile.SCRIPT), tmp_path / "page.html")
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    seen = test_browser.Visit(page, tmp_path / "page.html")
    seen.check_all_drawn()
    assert len(seen.plots()) == 2
    assert page.text_content("h1") == hostile.SCRIPT
    kind = "document.getElementById('plot-response-vrm')._fullLayout.xaxis.type"
    assert seen.evaluate(kind) == "linear"
    page.select_option("select", "1")
    assert seen.evaluate(kind) == "log"
    seen.check_all_drawn()
    page.click("#theme")
    seen.check_all_drawn()
    page.set_viewport_size({"width": 400, "height": 800})
    seen.until("document.querySelector('#plot-response-vrm .main-svg').clientWidth < 400")
    assert seen.evaluate("document.documentElement.scrollWidth") == 400
    assert seen.evaluate("document.querySelectorAll('img, main script, [onerror]').length") == 0
    assert seen.trouble == []
    page.close()
