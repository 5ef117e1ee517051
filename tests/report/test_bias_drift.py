"""The page of the common-bias experiment: what it draws and says is what the result holds."""

import pytest

from conescope.profile.bias_drift import change
from conescope.report import bias_drift_html, write_bias_drift
from conescope.results import BiasDrift
from conescope.results.bias_drift import BlockDrift, DriftPoint, PartDrift
from tests.report import hostile, test_browser
from tests.report.page import Page
from tests.report.test_barcode import by_id, figures, rows_of

browser = test_browser.browser  # a fixture

RISE = {"block": 0.1, "attention": 0.3, "mlp": -0.05}  # by how much each part changes the mean cosine


def result(blocks=3, stack="", title="made", parts=("block", "attention", "mlp"), lengths=(0.0, 0.5, 1.0)):
    """Return an experiment in which block k changes cosines by k times RISE / 3, for each of two seeds."""

    def point(part, depth, length):
        before = [length**2 / (1 + length**2) + small for small in (0, 0.01)]
        after = [
            value + depth * RISE[part] / 3 + small for value, small in zip(before, (0.001, 0), strict=True)
        ]
        return DriftPoint(length=length, across=change(before, after), within=change(before, before))

    return BiasDrift(
        title=title,
        architecture="Made",
        untrained=True,
        sequences=4,
        seeds=(0, 1),
        lengths=lengths,
        blocks=tuple(
            BlockDrift(
                stack=stack,
                depth=depth,
                module=f"layers.{depth - 1}",
                d=8,
                tokens=5,
                fed=tuple(length**2 / (1 + length**2) + 0.005 for length in lengths),
                parts=tuple(
                    PartDrift(
                        part=part, module=part, points=tuple(point(part, depth, one) for one in lengths)
                    )
                    for part in parts
                ),
            )
            for depth in range(1, blocks + 1)
        ),
        notes=("a note",),
    )


def test_figures_hold_the_values():
    drawn = figures(bias_drift_html(result()))
    assert list(drawn) == ["part-block", "part-attention", "part-mlp"]
    for name, figure in drawn.items():
        assert [view["label"] for view in figure["views"][1:]] == ["block 1", "block 2", "block 3"]
        together, first, *_ = figure["views"]
        assert len(together["data"]) == 1 + 3
        diagonal, across, within = first["data"]
        assert diagonal["x"] == diagonal["y"] == [-1, 1]
        assert across["x"] == pytest.approx([0.005, 0.205, 0.505])
        rise = RISE[name.removeprefix("part-")] / 3 + 0.0005
        assert across["y"] == pytest.approx([value + rise for value in across["x"]], abs=1e-4)
        assert within["x"] == within["y"]
        assert [low > 0 for low in across["error_y"]["arrayminus"]] == [True] * 3
        assert together["data"][1]["opacity"] < together["data"][3]["opacity"] == 1
    assert "of 9 cases it rises in 9 and falls in 0" in drawn["part-attention"]["views"][0]["alt"]
    assert "of 3 cases it rises in 0 and falls in 3" in drawn["part-mlp"]["views"][1]["alt"]


def test_table_and_words():
    page = Page(bias_drift_html(result()))
    across, within = rows_of(page, "values")[:12], rows_of(page, "values")[13:]
    assert across[0] == ["block 1, given", "0.005", "0.205", "0.505"]
    assert across[2] == ["block 1, attention", "▲ 0.105", "▲ 0.305", "▲ 0.605"]
    assert across[3][1] == "▼ \N{MINUS SIGN}0.011"
    assert within[1] == ["block 1, the whole block", "0.005", "0.205", "0.505"]
    words = by_id(page, "verdict").text
    assert (
        "Attention, tokens of different sequences: amplifies in 3 of 3 blocks (|b|²/d = 0, 0.25, 1)." in words
    )
    assert "MLP, tokens of one sequence: leaves it as it is in 3 of 3 blocks" in words
    assert words.endswith("a note")


def test_parts_that_no_block_has_are_not_drawn():
    one = result(blocks=1, parts=("block",), lengths=(1.0,))
    assert list(figures(bias_drift_html(one))) == ["part-block"]


def test_the_file_is_the_page_of_what_was_saved(tmp_path):
    saved = BiasDrift.model_validate_json(result().to_json())
    write_bias_drift(saved, tmp_path / "deep" / "page.html")
    assert (tmp_path / "deep" / "page.html").read_text() == bias_drift_html(result())


@pytest.mark.browser
def test_page_in_a_browser(browser, tmp_path):
    lengths = tuple(number / 5 for number in range(9))
    made = result(stack=hostile.IMAGE, title=hostile.SCRIPT, lengths=lengths)
    write_bias_drift(made, tmp_path / "page.html")
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    seen = test_browser.Visit(page, tmp_path / "page.html")
    seen.check_all_drawn()
    assert len(seen.plots()) == 3
    assert page.text_content("h1") == hostile.SCRIPT
    count = "document.getElementById('plot-part-mlp').data.length"
    assert seen.evaluate(count) == 4
    page.select_option("select", "1")
    assert seen.evaluate(count) == 3
    seen.check_all_drawn()
    page.click("#theme")
    seen.check_all_drawn()
    page.set_viewport_size({"width": 400, "height": 800})
    seen.until("document.querySelector('#plot-part-mlp .main-svg').clientWidth < 400")
    assert seen.evaluate("document.documentElement.scrollWidth") == 400
    assert seen.evaluate("document.querySelectorAll('img, main script, svg a, [onerror]').length") == 0
    assert seen.trouble == []
    page.close()
