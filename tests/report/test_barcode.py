"""The page of a barcode: what it says is what the result holds, and no text in it becomes markup."""

import json
import math
import re

import numpy as np
import pytest
import torch
from plotly.offline import get_plotlyjs
from scipy.cluster.hierarchy import fcluster, linkage

from conescope.report import barcode as room
from conescope.report import barcode_html, write_barcode
from conescope.survey.barcode import barcode
from conescope.topology import persistent_entropy
from tests.report import hostile, test_browser
from tests.report.page import Page

browser = test_browser.browser  # a fixture

LINE = torch.tensor([[0.0], [7.0], [1.0], [3.0]])  # bars 1, 2 and 4


def cloud(n=30, d=5):
    return np.random.default_rng(0).normal(size=(n, d))


def figures(html):
    block = re.search(r'<script type="application/json" id="figures">(.*?)</script>', html, re.DOTALL).group(
        1
    )
    assert not set(block) & set("<>&\u2028\u2029")
    return json.loads(block)


def by_id(page, name):
    return next(element for element in page.elements if element.attributes.get("id") == name)


def rows_of(page, section):
    return [
        [cell.text for cell in (*page.inside(row, "th"), *page.inside(row, "td"))]
        for row in page.inside(by_id(page, section), "tr")[1:]
    ]


def test_bars_and_tree_of_points_on_a_line_by_hand():
    drawn = figures(barcode_html(barcode(LINE, ["a", "b", "c", "d"])))
    (bars,) = drawn["bars"]["views"][0]["data"]
    assert bars["x"] == [4, 2, 1]
    assert bars["customdata"] == [["b", "d"], ["c", "d"], ["a", "c"]]
    lines, tops = drawn["tree"]["views"][0]["data"]
    # The leaves from the top, the larger group first: a and c or their like, then d, then b.
    assert drawn["tree"]["layout"]["yaxis"]["ticktext"][2:] == ["d", "b"]
    assert tops["x"] == [4, 2, 1]
    assert [size for *_, size in tops["customdata"]] == [4, 3, 2]
    assert tops["y"] == [(1.75 + 3.5) / 2, (1 + 2.5) / 2, 1]
    assert lines["x"][-5:] == [0, 1, 1, 0, None]
    assert sorted(lines["x"][:4]) == [0, 2, 4, 4]  # from the group that formed at 2, and from a point
    assert lines["meta"] * 3 == len(lines["x"]) == len(lines["y"])


def test_a_cut_tree_has_the_sizes_and_the_ends_of_single_linkage(monkeypatch):
    monkeypatch.setattr(room, "MOST_DRAWN", 6)
    points = cloud()
    html = barcode_html(barcode(points))
    drawn = figures(html)
    (bars,) = drawn["bars"]["views"][0]["data"]
    merges = linkage(points)[::-1][:6]
    assert bars["x"] == pytest.approx(merges[:, 2], rel=1e-4)
    lines, tops = drawn["tree"]["views"][0]["data"]
    assert [size for *_, size in tops["customdata"]] == merges[:, 3].tolist()
    assert len(lines["x"]) == 6 * 5
    groups = len(set(fcluster(linkage(points), 7, "maxclust")))
    assert drawn["tree"]["layout"]["yaxis"]["range"] == [groups + 0.5, -0.5]
    assert "ticktext" not in drawn["tree"]["layout"]["yaxis"]  # the ends are groups, which have no name
    page = Page(html)
    assert by_id(page, "cut").text.startswith("Only the longest 6 of 29 bars are drawn")
    assert len(json.loads(by_id(page, "kept").attributes["data-entropies"])) == 7


def test_the_page_holds_the_numbers_of_every_rule():
    found = barcode(cloud(), selection="single_pass", title="some vectors")
    page = Page(barcode_html(found))
    assert page.all("h1")[0].text == "some vectors"
    assert json.loads(by_id(page, "rule").attributes["data-rules"]) == {
        rule.rule: rule.model_dump() for rule in found.rules
    }
    chosen = [option for option in page.all("option") if "selected" in option.attributes]
    assert [option.attributes["value"] for option in chosen] == ["single_pass"]
    assert by_id(page, "counted").text.startswith(f"{found.selected().kept} of 29 bars count")
    shown = rows_of(page, "rules")
    assert [(int(row[1]), float(row[2]), float(row[3])) for row in shown] == [
        (rule.kept, pytest.approx(rule.entropy, abs=5e-5), pytest.approx(rule.relative_entropy, abs=5e-5))
        for rule in found.rules
    ]
    longest = rows_of(page, "longest")
    assert [row[1:] for row in longest] == [
        [f"row {one}", f"row {other}"] for _, one, other in found.longest(20)
    ]
    assert not any(element.attributes.get("id") == "cut" for element in page.elements)


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200])
def test_entropies_of_the_slider_are_those_of_the_longest_bars(scale):
    found = barcode(np.concatenate([cloud(), cloud()[:3]]))
    found = found.model_copy(update={"lengths": tuple(length * scale for length in found.lengths)})
    lengths = torch.tensor(found.lengths, dtype=torch.float64).flip(0)
    expected = [float(persistent_entropy(lengths[:kept])) for kept in range(len(lengths) + 1)]
    assert room.rounded_entropies(found, len(lengths)) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("text", hostile.TEXTS, ids=["script", "image", "end", "plotly"])
def test_ids_can_not_become_markup(text):
    clean = Page(barcode_html(barcode(LINE, ["a", "b", "c", "d"], title="title")))
    html = barcode_html(barcode(LINE, [text] * 4, title=text))
    page = Page(html)
    assert [element.tag for element in page.elements] == [element.tag for element in clean.elements]
    assert not any(name.startswith("on") for element in page.elements for name in element.attributes)
    assert "<img" not in html.replace(get_plotlyjs(), "")
    words = " ".join(text.split())
    assert rows_of(page, "longest")[0][1:] == [words, words]
    assert page.all("h1")[0].text == words
    for trace in (*figures(html)["bars"]["views"][0]["data"], figures(html)["tree"]["views"][0]["data"][1]):
        for item in trace["customdata"][0][:2]:
            assert not re.search(r"[<>$]|&(?!amp;|lt;|gt;|#36;)", item.replace("<br>", ""))


def test_long_texts_are_wrapped_and_cut():
    found = barcode(LINE, ["word " * 100, "b", "c", "d"])
    lines = room.item_text(found, 0).split("<br>")
    assert len(lines) == 3
    assert max(map(len, lines)) <= 40
    assert lines[-1].endswith("…")
    assert room.item_text(found, 1) == "b"


@pytest.mark.parametrize("n", [0, 1])
def test_without_bars_there_is_nothing_to_draw(n):
    html = barcode_html(barcode(torch.ones(n, 2)))
    assert figures(html) == {}
    page = Page(html)
    assert [item.text for item in page.all("li")] == [
        f"n = {n}: bars join points, and there are fewer than two"
    ]
    assert page.all("table") == []


def test_coincident_points_are_drawn():
    drawn = figures(barcode_html(barcode(torch.ones(3, 2))))
    assert drawn["bars"]["views"][0]["data"][0]["x"] == [0, 0]
    assert drawn["bars"]["layout"]["xaxis"]["range"] == [0, 1]


def test_the_file_is_the_page(tmp_path):
    write_barcode(barcode(LINE), tmp_path / "deep" / "bars.html")
    assert (tmp_path / "deep" / "bars.html").read_text() == barcode_html(barcode(LINE))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["bars.html"]


FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
COLORS = """plot => plot.data.map(trace => [(trace.marker || trace.line).color, trace.x.length])"""


@pytest.mark.browser
def test_rules_and_slider_in_a_browser(browser, tmp_path):
    gaps = torch.tensor([0.0, 1, 9, 1, 1, 10, 1, 1, 8, 1, 1], dtype=torch.float64)
    names = [*hostile.TEXTS, *(f"item {number}" for number in range(7))]
    write_barcode(barcode(gaps.cumsum(dim=0)[:, None], names), tmp_path / "bars.html")
    seen = test_browser.Visit(
        browser.new_page(viewport={"width": 1280, "height": 1000}), tmp_path / "bars.html"
    )
    gray, blue = "rgb(201, 206, 210)", "rgb(0, 114, 178)"

    def colors():
        seen.evaluate(FRAMES)
        return [plot.evaluate(COLORS) for plot in seen.plots()]

    def said():
        return " ".join(seen.page.text_content("#counted").split())

    assert colors()[0] == [[gray, 8], [blue, 2]]
    assert colors()[1] == [[gray, 40], [blue, 10], [gray, 8], [blue, 2]]
    assert said().startswith("2 of 10 bars count entropy 0.6918 nats relative 0.9980")

    seen.page.select_option("#rule", "single_pass")
    assert colors()[0] == [[gray, 6], [blue, 4]]
    assert seen.page.input_value("#kept") == "4"
    assert said().startswith("4 of 10 bars count")

    seen.page.fill("#kept", "3")
    assert seen.page.input_value("#rule") == "by hand"
    assert colors()[0] == [[gray, 7], [blue, 3]]
    entropy = -sum(length / 27 * math.log(length / 27) for length in (10, 9, 8))
    assert said().startswith(f"3 of 10 bars count entropy {entropy:.4f} nats relative")
    seen.page.fill("#kept", "0")
    assert said().startswith("0 of 10 bars count entropy 0.0000 nats relative 0.0000")
    seen.page.fill("#kept", "10")

    seen.page.hover("#plot-bars .point path >> nth=9", force=True)
    seen.page.wait_for_selector("#plot-bars .hovertext")
    hover = seen.page.text_content("#plot-bars .hovertext")
    assert hover.startswith("1")
    assert "joins" in hover
    seen.page.hover("#plot-tree path.point >> nth=0", force=True)
    seen.page.wait_for_selector("#plot-tree .hovertext")
    hover = seen.page.text_content("#plot-tree .hovertext")
    assert hover == "10.00: 11 points belowitem 0joinsitem 1"
    seen.page.click("#theme")
    assert colors()[0][1] == ["rgb(86, 180, 233)", 10]
    seen.page.set_viewport_size({"width": 400, "height": 800})
    for name in ("bars", "tree"):
        seen.until(f"document.querySelector('#plot-{name} .main-svg').clientWidth < 400")
    assert seen.evaluate("document.documentElement.scrollWidth") == 400
    assert seen.evaluate("document.querySelectorAll('img, main script, svg a, [onerror]').length") == 0
    assert seen.trouble == []
    seen.page.close()
