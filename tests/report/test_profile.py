"""The page of profiles: what it says follows from their intervals, and no text in them becomes markup."""

import json
import re

import pytest
from plotly.offline import get_plotlyjs

from conescope.cli import main
from conescope.measures import MEASURES
from conescope.profile.side_by_side import compare_profiles
from conescope.report import profile_html, write_profile
from conescope.report.layers import COMPANIONS
from conescope.report.seen import against, health, seen, valued
from conescope.results import MeasuredValue, Rows
from tests.profile.profiled import cosines, layer, profile
from tests.report import hostile, test_browser
from tests.report.page import Page

browser = test_browser.browser  # a fixture
CONE = (None, 0.35)
CONSTANT = {"mean_cosine": None, "isoscore": None}


def figures(html):
    pattern = r'<script type="application/json" id="figures">(.*?)</script>'
    block = re.search(pattern, html, re.DOTALL).group(1)
    assert not set(block) & set("<>&\u2028\u2029")
    return json.loads(block)


def by_id(page, name):
    return next(element for element in page.elements if element.attributes.get("id") == name)


def said(*layers):
    return " ".join(seen(profile(*layers), ""))


def cone(depth, value, half=0.01, centered=(0.02, 0.01), **more):
    return layer(depth, mean_cosine=(value, half, CONE), mean_cosine_centered=centered, **more)


def test_the_cone_is_the_mean_where_nothing_is_left_after_centering():
    assert said(cone(0, 0.1), cone(1, 0.68), cone(2, 0.2)) == (
        "Mean cosine is highest in layer 1 of 2: 0.680 [0.670, 0.690]; after centering it is 0.020: the cone "
        "is the mean. The last, layer 2, is within its healthy range in mean cosine: leave it alone."
    )
    rest = said(cone(0, 0.1), cone(1, 0.68, centered=(0.5, 0.01)))
    assert "after centering it is 0.500: the mean alone does not explain it." in rest
    for centered in ((0.35, 0.01), 0.02, None):  # across the end of the range, without interval, undefined
        claim = said(cone(0, 0.1), cone(1, 0.68, centered=centered)).split(". The last")[0]
        assert "the cone is the mean" not in claim
        assert "does not explain" not in claim
    assert "the cone" not in said(cone(0, 0.1), cone(1, 0.3))  # there is none
    assert "the cone" not in said(cone(0, 0.1), cone(1, 0.355))  # there may be none


def test_highest_is_said_only_beyond_noise():
    # half widths 0.01 and 0.01 make 0.0141: 0.01 is within it, and 0.02 is not
    assert "highest in layer 1 of 2: 0.520" in said(cone(0, 0.5), cone(1, 0.52), cone(2, 0.5))
    close = said(cone(0, 0.1), cone(1, 0.52), cone(2, 0.51))
    assert "reaches 0.520 [0.510, 0.530] in layer 1 of 2; layer 2 is as high within noise" in close
    two = said(cone(0, 0.51), cone(1, 0.52), cone(2, 0.51), cone(3, 0.1))
    assert "layers 0 and 2 are as high within noise" in two
    assert "same in all layers within noise, at most 0.520" in said(cone(0, 0.515), cone(1, 0.52))
    many = said(*(cone(depth, 0.5) for depth in range(7)), cone(7, 0.1))
    assert "6 other layers are as high within noise" in many
    bare = said(layer(0, mean_cosine=0.1), layer(1, mean_cosine=0.9))
    assert bare == "Mean cosine reads highest in layer 1 of 1, 0.900, but its noise is not known."
    assert said(cone(0, 0.5)).startswith("Mean cosine is 0.500 [0.490, 0.510] in layer 0;")
    assert said(layer(0, isoscore=0.5)) == ""


def test_the_last_layer_is_judged_by_whole_intervals():
    assert "The last, layer 0, is outside its healthy range: mean cosine is 0.400" in said(cone(0, 0.4))
    assert "Whether the last, layer 0, is healthy can not be told from mean cosine 0.350" in said(
        cone(0, 0.35)
    )
    final = said(cone(0, 0.9), cone(1, 0.1, kind="final"))
    assert "The last, layer 1 (the final normalization), is within" in final
    two = layer(0, mean_cosine=(0.1, 0.01, CONE), effective_rank=(9, 1, (20, None)))
    assert said(two).endswith(
        "outside its healthy range: effective rank is 9.000 [8.000, 10.0], healthy is at least 20."
    )
    constant = [layer(0, constant=True, mean_cosine=None), cone(1, 0.1)]
    assert "Layer 0 is constant." in said(*constant)
    assert said(layer(0, constant=True, mean_cosine=None)) == "Layer 0 is constant."


@pytest.mark.parametrize(
    ("value", "low", "high", "word"),
    [
        (0.3, 0.2, 0.35, "inside"),
        (0.3, 0.2, 0.36, "not known"),
        (0.4, 0.36, 0.5, "outside"),
        (0.1, None, None, "not known"),
        (None, None, None, ""),
    ],
)
def test_health_needs_the_whole_interval(value, low, high, word):
    found = MeasuredValue(name="mean_cosine", value=value, low=low, high=high, healthy=CONE)
    assert health(found) == word
    assert health(found.model_copy(update={"healthy": None})) == ""


def test_narrow_intervals_show():
    assert valued(MeasuredValue(name="a", value=0.12346, low=0.12344, high=0.12348)) == (
        "0.123460 [0.123440, 0.123480]"
    )
    assert valued(MeasuredValue(name="a", value=1.0, low=1.0, high=1.0)) == "1.000 [1.000, 1.000]"
    assert valued(MeasuredValue(name="a", value=-0.0002)) == "0.000"


def test_profiles_against_the_first():
    found = compare_profiles(cosines(0.1, 0.5, 0.5), cosines(0.1, 0.6, 0.2), names=["a", "b"])
    assert against(found) == [
        "Mean cosine of b against a, 3 layers compared: higher in 1, lower in 1, within noise in 1."
    ]


def test_the_lines_hold_the_values_and_the_reach_of_their_intervals():
    layers = [
        layer(0, constant=True, **CONSTANT),
        layer(1, mean_cosine=(0.5, 0.1, CONE), isoscore=0.25),
        layer(2, "final", mean_cosine=(0.2, 0.05, CONE), isoscore=None),
    ]
    views = figures(profile_html(profile(*layers)))["layers"]["views"]
    assert [view["label"] for view in views] == ["Mean cosine, uncentered", "IsoScore"]
    (line, *_), looks = views[0]["data"], views[0]["layout"]
    assert (line["x"], line["y"]) == ([0, 1, 2], [None, 0.5, 0.2])
    assert line["error_y"]["array"] == [None, 0.1, 0.05]
    assert line["error_y"]["arrayminus"] == [None, 0.1, 0.05]
    assert not line["connectgaps"]
    assert line["marker"]["symbol"] == ["circle", "circle", "circle-open"]
    assert looks["xaxis"]["ticktext"] == ["0", "1", "final"]
    assert [(note["x"], note["text"]) for note in looks["annotations"]] == [(0, "constant")]
    assert [(shape["y0"], shape["y1"]) for shape in looks["shapes"]] == [(0.35, 0.35)]
    other = views[1]
    assert [(note["x"], note["text"]) for note in other["layout"]["annotations"]] == [
        (0, "constant"),
        (2, "undefined"),
    ]
    assert other["data"][0]["error_y"]["array"] == [None, None, None]
    assert other["layout"]["shapes"] == []


def test_partners_are_dashed_in_the_same_figure():
    assert set(COMPANIONS) | set(COMPANIONS.values()) <= set(MEASURES)
    layers = [
        layer(depth, mean_cosine=0.5, mean_cosine_centered=0.1, anisotropy_1=0.2, anisotropy_1_uncentered=0.6)
        for depth in range(2)
    ]
    views = figures(profile_html(profile(*layers)))["layers"]["views"]
    drawn = [[(line["y"][0], line["line"]["dash"]) for line in view["data"]] for view in views]
    solid, dash = "solid", "dash"
    assert drawn == [[(0.5, solid), (0.1, dash)], [(0.1, solid)], [(0.2, solid), (0.6, dash)], [(0.6, solid)]]


def test_relative_depth_is_offered_where_depths_differ():
    same = figures(profile_html([cosines(0.1, 0.2, title="a"), cosines(0.1, 0.3, title="b")]))["layers"]
    assert len(same["views"]) == 1
    html = profile_html([cosines(0.1, 0.2, 0.3, title="a"), cosines(0.1, 0.2, 0.3, 0.4, 0.5, title="b")])
    depth, relative = figures(html)["layers"]["views"]
    assert [line["x"] for line in depth["data"]] == [[0, 1, 2], [0, 1, 2, 3, 4]]
    assert [line["x"] for line in relative["data"]] == [[0, 0.5, 1], [0, 0.25, 0.5, 0.75, 1]]
    groups = [group.attributes["label"] for group in Page(html).all("optgroup")]
    assert groups == ["by layer", "by relative depth"]


def test_cells_run_from_the_lowest_to_the_highest_value_of_a_measure():
    layers = [
        layer(0, a=(1, 0.5, (0, 2)), b=5, c=None),
        layer(1, a=3, b=5, c=None, constant=True),
        layer(2, a=2, b=5, c=1),
    ]
    (view,) = figures(profile_html(profile(*layers)))["cells"]["views"]
    (cells,) = view["data"]
    assert cells["z"] == [[0, 1, 0.5], [0.5, 0.5, 0.5], [None, None, 0.5]]
    assert view["layout"]["yaxis"]["ticktext"] == ["A", "B", "C"]
    assert cells["customdata"][0][0] == "A, layer 0<br>1.000 [0.500, 1.500]<br>healthy: 0 to 2"
    assert cells["customdata"][2][1] == "C, layer 1<br>constant"


def test_a_series_is_drawn_layer_by_step_in_order():
    series = [cosines(0.1, step / 10, title="run", step=step) for step in (4, 0, 2)]
    html = profile_html(series)
    (view,) = figures(html)["steps"]["views"]
    (cells,) = view["data"]
    assert cells["z"] == [[0.1, 0.1, 0.1], [0, 0.2, 0.4]]
    assert view["layout"]["xaxis"]["ticktext"] == ["0", "2", "4"]
    assert cells["customdata"][1][2].endswith("<br>step 4")
    lines = figures(html)["layers"]["views"][0]["data"]
    assert [line["name"] for line in lines] == ["run, step 0", "run, step 2", "run, step 4"]
    assert [line["opacity"] for line in lines] == [0.25, 0.625, 1]
    assert len({line["line"]["color"] for line in lines}) == 1
    page = Page(html)
    assert page.all("h1")[0].text.startswith("Mean cosine is highest in layer 1 of 1: 0.400")  # the last step
    assert "steps" not in figures(profile_html([cosines(0.1, title=name) for name in "ab"]))
    assert "steps" not in figures(profile_html([cosines(0.1, step=1), cosines(0.2, step=1)]))


def test_the_tables_hold_every_number_and_its_interval():
    tables = (Rows(name="bins", columns=("bin", "cosine"), rows=(("rare", 0.125), ("<b>", None))),)
    layers = [
        layer(0, constant=True, **CONSTANT),
        layer(1, mean_cosine=(0.51234567, 0.1, CONE), isoscore=0.25, tables=tables),
        layer(2, "final", mean_cosine=(0.2, 0.05, CONE), isoscore=None),
    ]
    stacked = [one.model_copy(update={"stack": stack}) for stack in ("encoder", "decoder") for one in layers]
    page = Page(profile_html(profile(*stacked, notes=("a note",))))
    assert len(page.all("table")) == 4
    first = page.all("table")[0]
    numbers = [element.attributes["value"] for element in page.inside(first, "data")]
    assert [float(number) for number in numbers] == pytest.approx(
        [0.51234567, 0.41234567, 0.61234567, 0.25, 0.2, 0.15, 0.25]
    )
    heads = [row.text for row in page.inside(first, "th")]
    assert heads[:4] == ["layer", "points", "Mean cosine, uncenteredhealthy at most 0.35", "IsoScore"]
    assert [head.split("blocks")[0] for head in heads[4:]] == ["0", "1", "final"]
    assert first.text.count("constant") == 2
    assert first.text.count("undefined") == 1
    assert first.text.count("✕") == 1
    inner = page.all("table")[1]
    assert [cell.text for cell in page.inside(inner, "td")] == ["rare", "0.1250", "<b>", "\N{EN DASH}"]
    summaries = [summary.text for summary in page.all("summary")]
    assert summaries.count("Layer 1: bins") == 2
    assert {"model: encoder", "model: decoder"} < set(summaries)
    assert "a note" in [item.text for item in page.all("li")]


@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize("depth", [1, 60])
def test_many_profiles_and_layers_have_a_line_and_a_table_each(count, depth):
    html = profile_html([cosines(*[0.5] * depth, title=f"model {number}") for number in range(count)])
    drawn = figures(html)
    (view,) = drawn["layers"]["views"]
    assert len(view["data"]) == len(drawn["cells"]["views"]) == len(Page(html).all("table")) == count
    looks = [(line["line"]["color"], line["marker"]["symbol"][0]) for line in view["data"]]
    assert len(set(looks)) == count
    assert len(view["layout"]["xaxis"]["tickvals"]) <= 13


@pytest.mark.parametrize("text", hostile.TEXTS, ids=["script", "image", "end", "plotly"])
def test_texts_can_not_become_markup(text):
    def page_of(word):
        tables = (Rows(name=word, columns=(word,), rows=((word,),)),)
        layers = [
            layer(depth, stack=stack, tables=tables, **{word: 0.5}).model_copy(update={"module": word})
            for stack in (word, "other")
            for depth in range(2)
        ]
        made = {"title": word, "architecture": word, "notes": (word,)}
        return profile_html([profile(*layers, **made, step=step) for step in range(2)])

    html = page_of(text)
    page, clean = Page(html), Page(page_of("word"))
    assert [element.tag for element in page.elements] == [element.tag for element in clean.elements]
    assert not any(name.startswith("on") for element in page.elements for name in element.attributes)
    assert "<img" not in html.replace(get_plotlyjs(), "")
    drawn = figures(html)
    strings = [line["name"] for view in drawn["layers"]["views"] for line in view["data"]]
    strings += [
        text for view in drawn["cells"]["views"] for row in view["data"][0]["customdata"] for text in row
    ]
    strings += [text for view in drawn["cells"]["views"] for text in view["layout"]["yaxis"]["ticktext"]]
    strings += [view["layout"]["yaxis"]["title"]["text"] for view in drawn["layers"]["views"]]
    assert strings
    for string in strings:
        assert not re.search(r"[<>$]|&(?!amp;|lt;|gt;|#36;)", string.replace("<br>", ""))


def test_errors():
    with pytest.raises(ValueError, match="needs one profile or more, got none"):
        profile_html([])
    with pytest.raises(ValueError, match="profile of 'model' has no layers"):
        profile_html(profile())


def test_the_command_writes_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    made = [cosines(0.1, 0.2, title="a"), cosines(0.1, 0.3, title="b")]
    for number, one in enumerate(made):
        (tmp_path / f"{number}.json").write_text(one.to_json())
    for files, shown in ((["0.json"], made[:1]), (["0.json", "1.json"], made)):
        with pytest.raises(SystemExit) as stopped:
            main(["report", *files, "-o", "deep/page.html"])
        assert (stopped.value.code or 0, capsys.readouterr().out) == (0, "Report: deep/page.html\n")
        assert (tmp_path / "deep" / "page.html").read_text() == profile_html(shown)
    (tmp_path / "bad.json").write_text("{}")
    for files, message in (
        (["0.json", "bad.json"], "one report shows one result, or profiles: bad.json is no profile, got 2"),
        (["bad.json", "0.json"], "one report shows one result, or profiles: bad.json is no profile, got 2"),
        (["bad.json"], "bad.json is not a result of this version of conescope"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["report", *files])
        err = capsys.readouterr().err
        assert (stopped.value.code, err.count("\n")) == (2, 1)
        assert message in err


MARKS = """plot => [plot.querySelectorAll('.js-line, path.point, .heatmaplayer image[*|href]').length,
    plot.getBoundingClientRect().height]"""


def check_drawn(visit):
    plots = {plot.get_attribute("id"): plot.evaluate(MARKS) for plot in visit.plots()}
    assert set(plots) == {"plot-layers", "plot-steps", "plot-cells"}
    for name, (marks, height) in plots.items():
        assert marks > 0, name
        assert height > 150, name


@pytest.mark.browser
def test_choosers_and_legend_in_a_browser(browser, tmp_path):
    names = [hostile.SCRIPT, hostile.PLOTLY]
    made = [
        profile(
            layer(0, constant=True, **CONSTANT),
            *(layer(depth, mean_cosine=(0.1 * depth, 0.02), isoscore=0.5) for depth in range(1, last)),
            title=name,
            step=last,
        )
        for name, last in zip(names, (3, 5), strict=True)
    ]
    write_profile(made, tmp_path / "page.html")
    seen_page = test_browser.Visit(
        browser.new_page(viewport={"width": 390, "height": 900}), tmp_path / "page.html"
    )
    page = seen_page.page
    check_drawn(seen_page)
    ends = "document.getElementById('plot-layers').data.map(trace => [trace.visible, Math.max(...trace.x)])"
    assert seen_page.evaluate(ends) == [[True, 2], [True, 4]]
    assert page.text_content("#plot-layers .annotation-text") == "constant"
    page.select_option("#layers select", "2")  # the first measure by relative depth
    assert seen_page.evaluate(ends) == [[True, 1], [True, 1]]
    page.click("#layers [data-group] >> nth=0")
    assert [visible for visible, _ in seen_page.evaluate(ends)] == [False, True]
    page.select_option("#cells select", "1")
    wide = "document.getElementById('plot-cells').data[0].x.length"
    assert seen_page.evaluate(wide) == 5
    page.click("#theme")
    check_drawn(seen_page)
    assert seen_page.evaluate("document.documentElement.scrollWidth") == 390
    assert seen_page.evaluate("document.querySelectorAll('img, main script, svg a, [onerror]').length") == 0
    assert seen_page.trouble == []
    page.close()
