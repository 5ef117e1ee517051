"""The page of a study with tasks: dots are runs, and the table says what the dose explains."""

from conescope.report import perturbation_html
from conescope.results import ScoredTask, TaskRun
from conescope.results.prediction import Association
from tests.report.page import Page
from tests.report.test_barcode import by_id, figures, rows_of
from tests.report.test_perturbation import result


def correlation(*given, value, low, high):
    return Association(feature="isoscore", kind="rank", given=given, value=value, low=low, high=high, p=0.01)


def scored():
    """Return the study of another test with a task whose score is 0.9 - percent / 20."""
    runs = tuple(
        TaskRun(percent=p, seed=s, key="k", steps=2, scores={"matthews": 0.9 - p / 20 + (s - 2) / 10})
        for p in (0.0, 1.0, 10.0)
        for s in (1, 2, 3)
    )
    task = ScoredTask(
        name="co.la_1",
        classes=("a", "b"),
        train_examples=10,
        dev_examples=7,
        main_score="matthews",
        budget={"epochs": 3.0, "lr": 1e-4},
        runs=runs,
        associations=(
            correlation(value=-0.8, low=-0.95, high=-0.3),
            correlation("rank of percent", value=0.1, low=-0.5, high=0.6),
        ),
    )
    return result(percents=(0.0, 1.0, 10.0)).model_copy(update={"tasks": (task,)})


def test_dots_are_runs_and_scores_have_a_response():
    drawn = figures(perturbation_html(scored()))
    assert list(drawn)[-2:] == ["response-co-la-1-matthews", "scatter-co-la-1"]
    _, line = drawn["response-co-la-1-matthews"]["views"][0]["data"]
    assert line["y"] == [0.9, 0.85, 0.4]  # the seeds' changes are -0.1, 0 and 0.1
    (view,) = drawn["scatter-co-la-1"]["views"]  # vrm was correlated with nothing
    assert [cloud["name"] for cloud in view["data"]] == ["0 %", "1 %", "10 %"]
    assert view["data"][0]["x"] == [0.3, 0.3, 0.3]  # one measurement without noise
    assert view["data"][2]["x"] == [0.08, 0.1, 0.15]
    assert view["data"][2]["y"] == [0.3, 0.4, 0.5]
    assert "explained by the dose" in view["alt"]


def test_the_table_says_what_the_dose_explains():
    page = Page(perturbation_html(scored()))
    text = by_id(page, "scores").text
    minus = "\N{MINUS SIGN}"
    assert f"{minus}0.8000 [{minus}0.9500, {minus}0.3000]" in text
    assert "explained by the dose" in text
    assert "10 examples to train on, 7 to be scored" in text
    assert rows_of(page, "values")[-1][1:] == ["0.9000", "0.8500", "0.4000"]


def test_no_two_percentages_look_the_same():
    percents = tuple(float(percent) for percent in range(10))
    task = scored().tasks[0]
    runs = tuple(run.model_copy(update={"percent": p}) for p in percents for run in task.runs[:3])
    made = result(percents=percents).model_copy(update={"tasks": (task.model_copy(update={"runs": runs}),)})
    html = perturbation_html(made)
    page = Page(html)
    (view,) = figures(html)["scatter-co-la-1"]["views"]
    looks = [(cloud["marker"]["color"], cloud["marker"]["symbol"]) for cloud in view["data"]]
    assert len(set(looks)) == len(looks) == 10
    swatches = page.inside(by_id(page, "scores"), "span")
    assert [span.attributes["class"] for span in swatches] == [f"swatch {symbol}" for _, symbol in looks]


def test_without_a_task_there_is_no_such_section():
    assert 'id="scores"' not in perturbation_html(result())
