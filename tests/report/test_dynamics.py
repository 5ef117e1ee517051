"""The page of a training that was watched: what it draws and says is what the results hold."""

import pytest

from conescope.dynamics.verdict import phases
from conescope.report import dynamics_html, write_dynamics
from conescope.results import Event, TangentResult, TangentSite, TangentStep, Trajectory
from tests.report import hostile, test_browser
from tests.report.page import Page
from tests.report.test_barcode import by_id, figures, rows_of

browser = test_browser.browser  # a fixture


def step(number, excess, **changed):
    """A step whose variance share is 0.4, and whose energy is so many times that."""
    energy = 0.4 * excess
    given = {
        "step": number,
        "energy": energy,
        "normal": 0.1,
        "ratio": energy / 0.1,
        "p": 0.0476,
        "random": 0.125,
        "following": 0.2,
        "uncentered": 0.3,
        "shuffled": 0.4,
        "variance_share": 0.4,
        "excess": excess,
        "isoscore_star": 0.1,
        "isoscore_star_without": 0.3,
        "isoscore_star_without_normal": 0.1,
        "delta": 0.2,
        "other": 0.15,
    }
    return TangentStep(**given | changed)


def site(module, steps, note=""):
    return TangentSite(
        module=module,
        o=16,
        d=32,
        k=4,
        explained=0.9,
        points=100,
        zero=0,
        not_finite=1,
        steps=tuple(steps),
        phases=phases(steps),
        note=note,
    )


def tangent(name="first.map", note=""):
    """Three maps: far above both nulls, on them, and without a step."""
    sites = (
        site(name, [step(30 + 10 * i, 2 + 0.01 * (i % 2)) for i in range(7)]),
        site("second.map", [step(30 + 10 * i, 1 + 0.01 * (i % 2 - 0.5)) for i in range(7)]),
        site("third.map", [], note=note),
    )
    return TangentResult(
        architecture="Made", fitted=30, seen=100, every=10, draws=20, seed=0, sites=sites, notes=("a note",)
    )


def trajectory():
    return Trajectory(
        layers=("0", "1"),
        steps=(0, 10, 20),
        tables={
            "mean_cosine": ((0.1, 0.2, None), (0.3, 0.4, 0.5)),
            "effective_rank": ((10.0, 9.0, 8.0), (10.0, 4.0, 8.0)),
        },
        events=(Event(layer="1", step=10, kind="collapse"), Event(layer="1", step=20, kind="recovery")),
    )


def test_figures_hold_every_null_and_every_layer():
    drawn = figures(dynamics_html(tangent(), trajectory()))
    assert list(drawn) == ["energies", "layers-mean-cosine", "layers-effective-rank"]
    views = drawn["energies"]["views"]
    assert [view["label"] for view in views] == ["first.map", "second.map"]
    lines = {line["name"]: line for line in views[0]["data"]}
    assert [line["y"][0] for line in lines.values()] == [0.8, 0.4, 0.4, 0.1, 0.125, 0.2, 0.3, 0.15]
    assert lines["in the tangent proxy"]["x"] == [30, 40, 50, 60, 70, 80, 90]
    assert "0.8000 at step 30" in views[0]["alt"]
    heat, down, up = drawn["layers-mean-cosine"]["views"][0]["data"]
    assert heat["z"] == [[0.1, 0.2, None], [0.3, 0.4, 0.5]]
    assert (down["x"], down["y"], down["marker"]["symbol"]) == ([1], [1], "x")
    assert (up["x"], up["y"], up["marker"]["symbol"]) == ([2], [1], "circle")
    assert "collapse of layer 1 at step 10" in drawn["layers-effective-rank"]["views"][0]["alt"]


def test_numbers_of_the_training_stand_beside_the_layers():
    scalars = {"noise_scale": {0: 3.0, 10: None, 20: 5.0}, "regularizer_share": {0: 0.5}, "loss": {0: None}}
    text = dynamics_html(tangent(), trajectory().model_copy(update={"scalars": scalars}))
    drawn = figures(text)["scalars"]["views"]
    assert [view["label"] for view in drawn] == ["Noise scale", "Regularizer share"]
    assert (drawn[0]["data"][0]["x"], drawn[0]["data"][0]["y"]) == ([0, 20], [3, 5])
    assert [option.text for option in Page(text).all("option")[-2:]] == ["Noise scale", "Regularizer share"]
    assert "scalars" not in figures(dynamics_html(tangent(), trajectory()))


def test_without_another_run_its_line_is_in_no_legend():
    alone = site("first.map", [step(30 + 10 * i, 2, other=None) for i in range(3)])
    for made, said in ((tangent(), True), (tangent().model_copy(update={"sites": (alone,)}), False)):
        text = dynamics_html(made, trajectory())
        assert ("</span>proxy of another run</li>" in text) == said
        assert ("proxy of another run" in figures(text)["energies"]["views"][0]["data"][-1]["name"]) == said


def test_a_null_without_a_number_is_left_out():
    made = tangent()
    bare = site("first.map", [step(30, 2, shuffled=None), step(40, 2, shuffled=0.5)])
    drawn = figures(dynamics_html(made.model_copy(update={"sites": (bare,)}), trajectory()))
    lines = {line["name"]: line for line in drawn["energies"]["views"][0]["data"]}
    assert (lines["shuffled gradients"]["x"], lines["shuffled gradients"]["y"]) == ([40], [0.5])


def test_the_verdict_comes_first_and_tables_hold_the_means():
    page = Page(dynamics_html(tangent(note="it did not run"), trajectory(), title="made on texts"))
    said = page.all("h1")[0].text
    assert said.startswith("In 1 of 3 linear maps gradients follow the data beyond")
    assert said.endswith("in 1 they do not, and in 1 it is not known.")
    words = by_id(page, "verdict").text
    for text in ("made on texts", "a note", "third.map: it did not run", "Layer 1: collapse", "0.04762"):
        assert text in words
    rows = rows_of(page, "values")
    first = next(row for row in rows if row[0] == "all")
    early = next(row for row in rows if row[0] == "early")
    # excess 2, 2.01 over seven steps, four times 2: mean 2.00429, energy 0.4 of that, ratio ten times energy
    assert first[1] == "7"
    assert [cell.split("0.8")[0] for cell in first[2:3]] == [""]
    assert first[2].startswith("0.8017")
    assert first[3].startswith("8.017")
    assert first[5].startswith("2.004")
    assert first[7:12] == ["0.1250", "0.2000", "0.3000", "0.1500", "0.04760"]
    assert first[12] == "▲ beyond mechanical"
    assert early[1] == "2"
    assert early[12] == "? not known"  # an interval needs three steps
    assert [row[12] for row in rows if row[0] == "all"] == [
        "▲ beyond mechanical",
        "≈ mechanical",
        "? not known",
    ]


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ((1,), "In none of 1 linear maps"),
        ((2,), "is not known in any of 1 linear maps"),
        ((), "No linear map was measured."),
    ],
)
def test_the_headline_says_what_the_verdicts_are(kept, said):
    made = tangent()
    made = made.model_copy(update={"sites": tuple(made.sites[number] for number in kept)})
    bare = Trajectory(layers=(), steps=(), tables={})
    page = Page(dynamics_html(made, bare))
    assert said in page.all("h1")[0].text
    assert not any(element.attributes.get("id") == "layers" for element in page.all("section"))


def test_the_file_is_the_page_of_what_was_saved(tmp_path):
    saved = TangentResult.model_validate_json(tangent().to_json())
    again = Trajectory.model_validate_json(trajectory().to_json())
    write_dynamics(saved, again, tmp_path / "deep" / "page.html", title="t")
    assert (tmp_path / "deep" / "page.html").read_text() == dynamics_html(tangent(), trajectory(), title="t")


@pytest.mark.browser
def test_page_in_a_browser(browser, tmp_path):
    write_dynamics(tangent(hostile.SCRIPT), trajectory(), tmp_path / "page.html", title=hostile.SCRIPT)
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    seen = test_browser.Visit(page, tmp_path / "page.html")
    assert len(seen.plots()) == 3
    drawn = "document.querySelectorAll('#plot-energies .js-line').length"
    assert seen.evaluate(drawn) == 8
    first = seen.evaluate("document.getElementById('plot-energies').data[0].y[0]")
    page.select_option("select", "1")
    assert seen.evaluate("document.getElementById('plot-energies').data[0].y[0]") != first
    assert page.text_content("#verdict .eyebrow") == hostile.SCRIPT
    marks = "document.querySelectorAll('#plot-layers-effective-rank .point').length"
    assert seen.evaluate(marks) == 2
    page.click("#theme")
    page.set_viewport_size({"width": 400, "height": 800})
    seen.until("document.querySelector('#plot-energies .main-svg').clientWidth < 400")
    assert seen.evaluate("document.documentElement.scrollWidth") == 400
    assert seen.evaluate("document.querySelectorAll('main img, main script, [onerror]').length") == 0
    assert seen.trouble == []
    page.close()
