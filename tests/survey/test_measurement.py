"""A measurement as a value: read, printed, shown in a notebook, written and read again."""

import html.parser
import math
from dataclasses import replace

import pytest
import torch

import conescope
from conescope.measures import MEASURES
from conescope.results import Finding, MeasuredValue, Measurement
from tests.report.hostile import TEXTS
from tests.survey.clouds import cloud, collapsed


@pytest.fixture(scope="module")
def found():
    return conescope.measure(cloud(200, 6) + 0.5, sample=100)


def measurement(*values, **rest):
    return Measurement(n=3, d=2, values=values, **rest)


def test_values_by_name(found):
    assert found.value("mean_norm") == found.measured("mean_norm").value
    assert found.names() == tuple(measured.name for measured in found.values)
    with pytest.raises(KeyError, match=r"alignment was not measured; there are mean_cosine, "):
        found.value("alignment")


def test_an_undefined_value_says_why():
    found = conescope.measure(torch.ones(5, 3), measures="isoscore")
    with pytest.raises(ValueError, match=f"isoscore is undefined here: {MEASURES['isoscore'].undefined}"):
        found.value("isoscore")


def test_a_line_has_value_interval_isotropic_value_and_note(found):
    lines = str(found).splitlines()
    assert lines[0] == "200 points in 6 dimensions"
    assert lines[1].split() == ["measure", "value", "95", "%", "interval", "isotropic", "note"]
    for measured, line in zip(found.values, lines[2:], strict=False):
        name, *rest = line.split(maxsplit=1)
        assert name == measured.name
        expected = f"{measured.value:.4f}"
        if measured.low is not None:
            expected += f" [{measured.low:.4f}, {measured.high:.4f}]"
        if measured.isotropic is not None:
            expected += f" {measured.isotropic:.4f}"
        expected = f"{expected} {measured.note}".rstrip()
        assert " ".join(rest[0].split()) == expected, line
    assert "on 100 of 200 points, seed 0" in lines[-2] or any("on 100 of 200" in line for line in lines)


def test_columns_are_as_wide_as_their_widest_cell():
    text = str(
        measurement(
            MeasuredValue(name="a", value=1.0, low=0.5, high=1234.5),
            MeasuredValue(name="longer", value=12345.0, isotropic=0.25),
        )
    )
    assert text.splitlines() == [
        "3 points in 2 dimensions",
        "measure       value        95 % interval  isotropic  note",
        "a            1.0000  [0.5000, 1234.5000]",
        "longer   12345.0000                          0.2500",
    ]


def test_columns_without_a_number_are_left_out():
    text = str(measurement(MeasuredValue(name="a", value=None, note="why")))
    assert text.splitlines() == [
        "3 points in 2 dimensions",
        "measure      value  note",
        "a        undefined  why",
    ]
    assert str(measurement()) == "3 points in 2 dimensions"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.0000"),
        (0.25, "0.2500"),
        (-0.001, "-0.0010"),
        (1.234e-5, "1.23e-05"),
        (-2e-300, "-2e-300"),
        (999999.0, "999999.0000"),
        (1.5e7, "1.5e+07"),
    ],
)
def test_small_and_large_numbers_keep_three_digits(value, shown):
    line = str(measurement(MeasuredValue(name="a", value=value))).splitlines()[-1]
    assert line.split() == ["a", shown]


def test_notes_and_findings_follow():
    text = str(
        measurement(
            notes=("n = 3",),
            findings=(
                Finding(level="look", title="t", evidence="e", cause="c", fix="f", verify="v"),
                Finding(level="healthy", title="nothing", evidence="e"),
            ),
        )
    )
    assert text.splitlines()[1:] == [
        "n = 3",
        "look: t: e. Likely cause: c. Smallest fix: f. Verify: v.",
        "healthy: nothing: e.",
    ]


# texts of others


class Page(html.parser.HTMLParser):
    """Collect tags and texts as a browser would see them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, *attributes))

    def handle_data(self, data):
        self.texts.append(data)


def hostile(text):
    return measurement(
        MeasuredValue(name=text, value=0.5, low=0.1, high=0.9, note=text),
        notes=(text,),
        findings=(Finding(level="look", title=text, evidence=text, cause=text, fix=text, verify=text),),
    )


@pytest.mark.parametrize("text", TEXTS)
def test_a_notebook_shows_hostile_texts_as_texts(text):
    page = Page(hostile(text)._repr_html_())
    assert {tag for tag, *_ in page.tags} == {"table", "caption", "tr", "th", "td", "p", "b"}
    assert all(len(tag) == 1 for tag in page.tags)  # no attribute
    assert page.texts.count(text) == 3  # name, note of the value, note


def test_a_notebook_shows_intervals_and_isotropic_values(found):
    page = Page(found._repr_html_())
    assert page.tags.count(("tr",)) == len(found.values) + 1
    measured = found.measured("mean_cosine")
    assert f"[{measured.low:.4f}, {measured.high:.4f}]" in page.texts
    assert f"{measured.isotropic:.4f}" in page.texts
    for finding in found.findings:
        assert finding.level in page.texts


@pytest.mark.parametrize(
    "text", ["\x1b[31mred", "two\nlines", "\r0.9999", "back\x08", "\u202eturned", *TEXTS]
)
def test_a_terminal_is_not_steered(text):
    lines = str(hostile(text)).splitlines()
    assert len(lines) == 5
    assert all(line.isprintable() for line in lines)
    assert lines[2].startswith(text.encode("unicode_escape").decode()[:2]) or text in lines[2]


# JSON


OLD = """{"schema_version": "conescope.measurement/1", "n": 3, "d": 2, "values": [
{"name": "isoscore", "value": 0.5, "note": ""}, {"name": "twonn", "value": null, "note": "few points"}],
"notes": ["n = 3: too few points"]}"""


def test_files_of_the_first_version_are_read():
    found = Measurement.model_validate_json(OLD)
    assert found.schema_version == "conescope.measurement/1"
    assert found.value("isoscore") == 0.5
    assert found.measured("isoscore").low is None
    assert found.findings == ()
    assert str(found).splitlines()[-1] == "n = 3: too few points"
    assert Page(found._repr_html_()).texts.count("undefined") == 1
    assert Measurement.model_validate_json(found.model_dump_json()) == found


def test_files_of_a_later_version_are_refused():
    with pytest.raises(ValueError, match="schema_version"):
        Measurement.model_validate_json(OLD.replace("measurement/1", "measurement/3"))


def test_what_is_written_is_read(found):
    assert Measurement.model_validate_json(found.model_dump_json()) == found
    assert found.schema_version == "conescope.measurement/2"


def test_results_can_not_be_changed(found):
    with pytest.raises(ValueError, match="frozen"):
        found.n = 4


# what it is made of


def test_negative_zero_is_zero(monkeypatch):
    row = replace(MEASURES["persistent_entropy"], function=lambda points: torch.tensor(-0.0))
    monkeypatch.setitem(MEASURES, "persistent_entropy", row)
    found = conescope.measure(torch.eye(2), measures="persistent_entropy", intervals=False, null=False)
    assert math.copysign(1, found.value("persistent_entropy")) == 1


def test_healthy_ranges_are_those_of_the_row_at_the_size_that_was_looked_at():
    found = conescope.measure(cloud(300, 25), sample=40, intervals=False, null=False)
    for measured in found.values:
        row = MEASURES[measured.name]
        expected = row.healthy(40 if row.sampled else 300, 25)
        assert (measured.healthy is None) == (expected is None)
    assert found.measured("mean_cosine").healthy == (None, 0.35)
    assert found.measured("effective_rank").healthy == (0.15 * 25, None)
    assert found.measured("antihubs").healthy is None  # forty points can not tell


def test_there_is_always_a_finding():
    for points in (cloud(0, 3), cloud(1, 3), cloud(3, 1), collapsed(20, 3), torch.zeros(1, 1)):
        assert conescope.measure(points, measures="drift").findings
