"""The page of an ablation: what it draws and says is what the result holds."""

import pytest

from conescope.ablation.statistics import front
from conescope.report.ablation import ablation_html, write_ablation
from conescope.results import Ablation
from tests.ablation.made import SCORE, ablation, arm
from tests.report import hostile, test_browser
from tests.report.page import Page
from tests.report.test_barcode import by_id, figures, rows_of

browser = test_browser.browser  # a fixture
MINUS = "\N{MINUS SIGN}"

PLAIN = arm("none", [0.50, 0.53, 0.47], [0.30, 0.31, 0.32])
ROUND = arm("round", [0.54, 0.58, 0.50], [0.10, 0.12, 0.11])
SLOW = arm("slow", [0.60, 0.10, 0.20], [0.40, 0.44, 0.42], warnings=("isotropy is not moving",))


def result(*arms, **changed):
    return ablation(arms or (PLAIN, ROUND, SLOW), **changed)


def test_front_figure_holds_means_and_errors():
    made = result()
    centered, uncentered = figures(ablation_html(made))["front"]["views"]
    assert (centered["label"], uncentered["label"]) == ("centered", "uncentered")
    points = {trace["name"]: trace for trace in centered["data"] if "name" in trace}
    assert {name: (trace["x"], trace["y"]) for name, trace in points.items()} == {
        "none": ([0.31], [0.5]),
        "round": ([0.11], [0.54]),
        "slow": ([0.42], [0.3]),
    }
    error = 0.01 / 3**0.5  # of 0.10, 0.12, 0.11, whose deviation is 0.01
    assert points["round"]["error_x"]["array"] == pytest.approx([error])
    assert [points[name]["marker"]["symbol"] for name in points] == ["circle-open", "circle", "circle-open"]
    truth = front(made.arms, SCORE, measure="anisotropy_1_uncentered")
    shown = [trace["x"][0] for trace in uncentered["data"] if "name" in trace]
    assert shown == pytest.approx([point.anisotropy for point in truth])
    assert "round: 0.5400 at 0.1100, on the front" in centered["alt"]


def test_the_front_is_a_line_through_the_arms_on_it():
    (view, _) = figures(ablation_html(result(PLAIN, ROUND, arm("top", [0.8] * 3, [0.9] * 3))))["front"][
        "views"
    ]
    line = view["data"][0]
    assert (line["mode"], line["x"], line["y"]) == ("lines", [0.11, 0.9], [0.54, 0.8])


def test_curves_are_means_and_end_at_plains_score():
    (view,) = figures(ablation_html(result()))["curves"]["views"]
    plain, round_, _, target = view["data"]
    assert plain["x"] == [10, 20, 30, 40]
    assert plain["y"] == pytest.approx([0.125, 0.25, 0.375, 0.5])
    assert round_["y"][-1] == pytest.approx(0.54)
    assert (target["x"], target["y"]) == ([0, 40], [0.5, 0.5])


def test_weights_that_were_tried_and_the_chosen_one():
    made = result(PLAIN, ROUND)
    (view,) = figures(ablation_html(made))["weights"]["views"]
    zero, tries = view["data"]
    assert zero["y"] == [0, 0]
    assert tries["x"] == [0.28, 0.1]  # 0.3 - w / 5
    assert tries["y"] == [-0.01, -0.1]  # -w / 10
    assert tries["error_y"]["array"] == [0.02, 0.02]
    assert tries["customdata"] == [["0.1", "chosen"], ["1", "tried"]]
    page = Page(ablation_html(made))
    words = by_id(page, "weights").text
    assert "the lowest" in words
    assert "the dev set had no part in it" in words
    assert "lowest centered anisotropy_1 there among those that keep the score within one standard" in words
    unselected = Page(ablation_html(result(tried=(), choices=(), weights="given")))
    assert not any(element.attributes.get("id") == "weights" for element in unselected.elements)


def test_tables_hold_the_corrected_statistics():
    made = result()
    page = Page(ablation_html(made))
    standing = rows_of(page, "front")
    assert [row[0] for row in standing] == ["none", "round", "slow"]
    assert standing[0][3] == "0.5000 ± 0.0173"
    shape = next(each for each in made.differences if (each.arm, each.name) == ("round", "anisotropy_1"))
    assert shape.verdict == "improved"
    assert standing[1][6].startswith(f"✓{MINUS}0.2000")
    assert [row[-1] for row in standing] == ["no", "yes", "no"]
    exact = [element.attributes["value"] for element in page.inside(by_id(page, "differences"), "data")]
    for each in made.differences:
        for value in (each.difference, each.adjusted_low, each.adjusted_high):
            assert value is None or repr(value) in exact
    words = by_id(page, "differences").text
    assert "Calibration error" in words
    assert "1 of 3 seeds" in words  # slow reaches plain's score once


def test_words_of_verdict_warnings_and_command():
    page = Page(ablation_html(result()))
    assert page.all("h1")[0].text == result().verdict
    assert "isotropy is not moving (seed 0, 1, 2)" in by_id(page, "warnings").text
    assert "conescope ablate --model m" in by_id(page, "repeat").text
    assert [dd.text for dd in page.inside(by_id(page, "verdict"), "dd")][1:4] == ["3", "3", "9"]
    elsewhere = Page(ablation_html(result(tried=(), choices=())))  # all weights were given, though "auto"
    tiles = [by_id(shown, "verdict").text for shown in (page, elsewhere)]
    assert ["selected on a split" in text for text in tiles] == [True, False]
    none = Page(ablation_html(result(PLAIN, ROUND)))
    assert not any(element.attributes.get("id") == "warnings" for element in none.elements)


def test_a_half_done_ablation_has_a_page():
    begun = result(arm("none", [0.5], [0.3]), arm("later", []))
    page = Page(ablation_html(begun))
    assert "no arm has a seed in common" in page.all("h1")[0].text
    assert "No arm has a seed in common with plain training yet" in by_id(page, "differences").text
    apart = Page(ablation_html(result(arm("none", [0.5], seeds=[0]), arm("t", [0.6], seeds=[1]))))
    assert "share no seed yet" in by_id(apart, "front").text


def test_many_arms_differ_in_color_or_symbol():
    arms = [PLAIN, *(arm(f"arm {i}", [0.5 + i / 100] * 3) for i in range(12))]
    (view, *_) = figures(ablation_html(result(*arms)))["front"]["views"]
    looks = [
        (trace["marker"]["color"], trace["marker"]["symbol"].removesuffix("-open"))
        for trace in view["data"]
        if "marker" in trace
    ]
    assert len(set(looks)) == len(looks) == 13


def test_the_file_is_the_page_of_what_was_saved(tmp_path):
    saved = Ablation.model_validate_json(result().model_dump_json())
    write_ablation(saved, tmp_path / "deep" / "page.html")
    assert (tmp_path / "deep" / "page.html").read_text() == ablation_html(result())


@pytest.mark.browser
def test_page_in_a_browser(browser, tmp_path):
    named = [arm(text, [0.52, 0.5, 0.51], warnings=(text,)) for text in hostile.TEXTS]
    made = result(PLAIN, ROUND, *named, title=hostile.SCRIPT, command=hostile.END, notes=hostile.TEXTS)
    write_ablation(made.model_copy(update={"verdict": hostile.IMAGE}), tmp_path / "page.html")
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    seen = test_browser.Visit(page, tmp_path / "page.html")
    seen.check_all_drawn()
    assert len(seen.plots()) == 3
    assert page.text_content("h1") == hostile.IMAGE
    first = seen.evaluate("document.getElementById('plot-front').data.at(-1).x[0]")
    page.select_option("select[data-plots=plot-front]", label="uncentered")
    assert seen.evaluate("document.getElementById('plot-front').data.at(-1).x[0]") == pytest.approx(
        first + 0.4
    )
    page.click("#theme")
    seen.check_all_drawn()
    page.set_viewport_size({"width": 400, "height": 800})
    seen.until("document.querySelector('#plot-front .main-svg').clientWidth < 400")
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert seen.evaluate("document.documentElement.scrollWidth") == 400
    assert seen.evaluate("document.querySelectorAll('img, main script, svg a, [onerror]').length") == 0
    assert seen.trouble == []
    page.close()


@pytest.mark.browser
def test_a_long_name_hides_no_column(browser, tmp_path):
    long = arm("persistent-entropy:memory=512,selection=None,sphere=true", [0.5123] * 3, [0.3123] * 3)
    write_ablation(result(PLAIN, ROUND, long), tmp_path / "page.html")
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    seen = test_browser.Visit(page, tmp_path / "page.html")
    tables = "[...document.querySelectorAll('.runs')].map(each => each.parentElement)"
    widths = seen.evaluate(f"{tables}.map(each => [each.scrollWidth, each.clientWidth])")
    assert len(widths) == 2
    assert all(needed <= there for needed, there in widths)
    page.close()
