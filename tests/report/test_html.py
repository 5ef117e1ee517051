import base64
import hashlib
import json
import re

import pytest
from plotly.offline import get_plotlyjs

from conescope.report import report_html, write_report
from conescope.results import Arm, FineTuning
from tests.report import hostile
from tests.report.page import Page
from tests.samples.finetuning import CLASSES, finetuning

EIGHT_MEGABYTES = 8 * 1024 * 1024


@pytest.fixture(scope="module")
def result():
    return finetuning()


@pytest.fixture(scope="module")
def page(result):
    return Page(report_html(result))


def numbers(page, element):
    return [(data.attributes["value"], data.text) for data in page.inside(element, "data")]


def as_float(text):
    return float(text.replace("\N{MINUS SIGN}", "-"))


@pytest.mark.parametrize("seeds", [(0,), (0, 1), (0, 1, 2)], ids=["one seed", "two", "three"])
def test_difference_tables_show_the_numbers_of_the_result(seeds):
    result = finetuning(regularized=("recursive", "all bars"), seeds=seeds)
    page = Page(report_html(result))
    tables = [table for table in page.all("table") if table.has_class("differences")]
    assert [page.inside(table, "caption")[0].text for table in tables] == ["recursive", "all bars"]
    for table in tables:
        rows = [row for row in page.inside(table, "tr") if page.inside(row, "data")]
        arm = page.inside(table, "caption")[0].text
        expected = [difference for difference in result.differences if difference.arm == arm]
        assert len(rows) == len(expected)
        for row, difference in zip(rows, expected, strict=True):
            known = [difference.low, difference.high] if difference.low is not None else []
            values = [difference.plain, difference.regularized, difference.difference, *known]
            shown = numbers(page, row)
            assert [float(exact) for exact, _ in shown] == values
            for (_, text), value in zip(shown, values, strict=True):
                digits = len(text.partition(".")[2])
                assert as_float(text) == pytest.approx(value, abs=0.5000001 * 10.0**-digits)
            cells = page.inside(row, "td")
            assert cells[-1].text.endswith(difference.verdict)
            assert difference.basis in cells[3].text


def test_signs_follow_the_direction_that_is_better(page, result):
    table = next(table for table in page.all("table") if table.has_class("differences"))
    rows = [row for row in page.inside(table, "tr") if page.inside(row, "data")]
    words = {"higher": "higher is better", "lower": "lower is better", "neither": "neither way is better"}
    for row, difference in zip(rows, result.differences, strict=True):
        assert page.inside(row, "th")[0].text.endswith(words[difference.better])


def test_cards_give_the_verdicts_on_task_and_geometry(page, result):
    task, geometry = (card for card in page.all("article"))
    for card, name in ((task, "accuracy"), (geometry, "anisotropy_1")):
        difference = next(d for d in result.differences if d.name == name)
        headline = next(p for p in page.inside(card, "p") if p.has_class("headline"))
        assert headline.text.endswith(difference.verdict)
        values = [float(exact) for exact, _ in numbers(page, card)]
        both = [difference.plain, difference.regularized, difference.difference]
        assert values[:5] == [*both, difference.low, difference.high]
    assert page.all("h1")[0].text == result.verdict


def test_tally_counts_the_other_measures(page, result):
    rest = [d.verdict for d in result.differences if d.kind == "geometry" and d.name != "anisotropy_1"]
    tally = next(p for p in page.all("p") if p.has_class("tally")).text
    counted = {
        word: int(count) for count, word in re.findall(r"(\d+) ([a-z ]+?)[,;]", tally.replace(" ,", ","))
    }
    assert counted == {verdict: rest.count(verdict) for verdict in rest}


def test_run_table_holds_every_run(page, result):
    table = next(table for table in page.all("table") if table.has_class("runs"))
    rows = {row.text: row for row in page.inside(table, "tr") if page.inside(row, "data")}
    runs = [run for arm in result.arms for run in arm.runs]
    for name, values in {
        "Accuracy": [run.scores["accuracy"] for run in runs],
        "IsoScore": [run.after.measurement.value("isoscore") for run in runs],
        "Seconds a step": [run.step_seconds for run in runs],
        "Seconds of the regularizer": [run.regularizer_seconds for run in runs],
    }.items():
        row = next(row for text, row in rows.items() if text.startswith(name))
        shown = [float(exact) for exact, _ in numbers(page, row)]
        before = [runs[0].before.measurement.value("isoscore")] if name == "IsoScore" else []
        assert shown == before + values


def test_how_to_repeat_is_complete(page, result):
    text = next(element for element in page.all("section") if element.attributes["id"] == "repeat").text
    for fact in (result.command, result.created, *result.versions.values(), *result.versions):
        assert fact in text
    for facts in (result.arguments, result.hardware, result.data):
        for key in facts:
            assert key in text
    assert "learning_rate0.0001" in text  # a term and its description
    assert "Seeds 0, 1." in text


def test_every_figure_is_described_and_explained(page):
    plots = [div for div in page.all("div") if div.has_class("plot")]
    assert len(plots) == 4 + 1 + 2 + 3  # training, spectrum, barcode, maps
    for plot in plots:
        assert plot.attributes["role"] == "img"
        assert len(plot.attributes["aria-label"]) > 20
    assert len(page.all("figcaption")) == 4 + 3


def test_nothing_is_loaded_from_anywhere(page):
    for element in page.elements:
        for name, value in element.attributes.items():
            if name in {"src", "href", "srcset", "data", "action", "poster", "xlink:href"}:
                assert value.startswith("#") or value == "data:,", (element.tag, name, value)
    style = page.all("style")[0].text
    assert "url(" not in style
    assert "@import" not in style


def test_plotly_is_there_once_and_the_file_is_small(result):
    html = report_html(result)
    bundle = get_plotlyjs()
    assert html.count(bundle[:200]) == html.count(bundle[-200:]) == 1
    assert len(html.encode()) < EIGHT_MEGABYTES


def test_largest_comparison_stays_small():
    names = [f"class {number}" for number in range(20)]
    arms = ("recursive", "single_pass", "shifted", "all bars")
    result = finetuning(
        regularized=arms, seeds=(0, 1, 2), classes=names, rows=3000, points=5000, bars=63, dimensions=1024
    )
    assert len(report_html(result).encode()) < EIGHT_MEGABYTES


def test_policy_allows_the_two_scripts_of_the_page_alone(page):
    policy = page.all("meta")[1].attributes["content"]
    scripts = [script for script in page.all("script") if "type" not in script.attributes]
    digests = [
        "sha256-" + base64.b64encode(hashlib.sha256("".join(script.pieces).encode()).digest()).decode()
        for script in scripts
    ]
    assert re.findall(r"sha256-[^']+", policy) == digests
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy.partition("style-src")[0]


def poisoned(text):
    result = finetuning(classes=(text, *CLASSES[1:]), regularized=(text,), title=text, notes=(text,))
    return result.model_copy(
        update={
            "verdict": text,
            "command": text,
            "created": text,
            "arguments": {text: text},
            "versions": {text: text},
            "hardware": {text: [text]},
            "data": {text: {text: text}},
        }
    )


@pytest.mark.parametrize("text", hostile.TEXTS, ids=["script", "image", "end", "plotly"])
def test_data_can_not_become_markup(text):
    clean, html = Page(report_html(finetuning())), report_html(poisoned(text))
    page = Page(html)
    # Were one of the texts read as markup, there would be elements that no clean report has.
    assert {element.tag for element in page.elements} == {element.tag for element in clean.elements}
    assert len(page.all("script")) == len(clean.all("script")) == 3
    assert not any(name.startswith("on") for element in page.elements for name in element.attributes)
    assert "<img" not in html.replace(get_plotlyjs(), "")
    assert hostile.SCRIPT not in html
    words = " ".join(text.split())
    assert page.all("h1")[0].text == words
    assert page.all("title")[0].text.startswith(words)
    assert words in [item.text for item in page.all("li")]


def test_figures_are_json_that_no_parser_reads_as_markup():
    html = report_html(poisoned(hostile.END))
    block = re.search(r'<script type="application/json" id="figures">(.*?)</script>', html, re.DOTALL).group(
        1
    )
    assert not set(block) & set("<>&\u2028\u2029")
    names = [note["text"] for note in json.loads(block)["barcode"]["views"][0]["layout"]["annotations"]]
    assert names[0] == "&lt;/script&gt;&lt;!-- ]]&gt;"  # plotly decodes the entities


def test_not_a_number_reaches_neither_json_nor_the_reader_as_a_value():
    result = finetuning(seeds=(0,))
    plain, regularized = result.arms
    run = plain.runs[0]
    broken = run.model_copy(
        update={
            "history": (
                {"step": 1.0, "loss": float("nan")},
                {"step": 2.0, "loss": float("inf")},
                {"step": 3.0},
            )
        }
    )
    arms = (plain.model_copy(update={"runs": (broken,)}), regularized)
    differences = (
        result.differences[0].model_copy(update={"difference": float("nan")}),
        *result.differences[1:],
    )
    page = Page(report_html(result.model_copy(update={"arms": arms, "differences": differences})))
    figures = json.loads("".join(page.all("script")[0].pieces))  # strict: allow_nan is off on writing
    assert [trace["legendgroup"] for trace in figures["task-loss"]["views"][0]["data"]] == ["arm-1"]
    table = next(table for table in page.all("table") if table.has_class("differences"))
    assert "not a number" in page.inside(table, "tr")[2].text


@pytest.mark.parametrize("plain", [True, False], ids=["plain arm alone", "regularized arm alone"])
def test_one_arm_alone_shows_before_and_after(plain):
    result = finetuning(plain=plain, regularized=() if plain else ("persistent-entropy",), seeds=(4,))
    page = Page(report_html(result))
    assert not [table for table in page.all("table") if table.has_class("differences")]
    task, geometry = page.all("article")
    run = result.arms[0].runs[0]
    assert [float(exact) for exact, _ in numbers(page, task)] == [run.scores["accuracy"]]
    expected = [
        (run.before.measurement.value(name), run.after.measurement.value(name))
        for name in run.after.measurement.names()
    ]
    values = [float(exact) for exact, _ in numbers(page, geometry)]
    assert list(zip(values[::2], values[1::2], strict=True)) == expected
    assert "There is no plain arm" in page.all("main")[0].text or plain


def test_undefined_measures_are_a_dash_with_their_note():
    result = finetuning(seeds=(0,))
    run = result.arms[0].runs[0]
    first = run.after.measurement.values[0].model_copy(update={"value": None, "note": "no two points differ"})
    measurement = run.after.measurement.model_copy(
        update={"values": (first, *run.after.measurement.values[1:])}
    )
    after = run.after.model_copy(update={"measurement": measurement})
    arm = result.arms[0].model_copy(update={"runs": (run.model_copy(update={"after": after}),)})
    page = Page(report_html(result.model_copy(update={"arms": (arm, result.arms[1])})))
    assert "Anisotropy 1, centered: no two points differ" in [item.text for item in page.all("li")]
    table = next(table for table in page.all("table") if table.has_class("runs"))
    row = next(row for row in page.inside(table, "tr") if row.text.startswith("Anisotropy 1, centered"))
    assert numbers(page, row)[1] == ("", "\N{EN DASH}")


@pytest.mark.parametrize("classes", [2, 20])
def test_any_number_of_classes(classes):
    names = [f"class {number}" for number in range(classes)]
    page = Page(report_html(finetuning(classes=names, seeds=(0,))))
    buttons = [
        b.text for b in page.all("button") if (b.attributes.get("data-group") or "").startswith("class-")
    ]
    assert buttons == names


def test_a_result_read_from_its_json_gives_the_same_report(result):
    assert report_html(FineTuning.model_validate_json(result.model_dump_json())) == report_html(result)


def test_written_whole_or_not_at_all(tmp_path, result):
    path = tmp_path / "report.html"
    write_report(result, path)
    first = path.read_text(encoding="utf-8")
    assert first == report_html(result)
    empty = Arm.model_construct(name="broken", regularizer=None, runs=None)
    with pytest.raises(TypeError):
        write_report(result.model_copy(update={"arms": (empty,)}), path)
    assert path.read_text(encoding="utf-8") == first
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
