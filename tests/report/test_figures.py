import pytest

from conescope.report.barcodes import barcode_figure, barcode_sides, barcode_states
from conescope.report.curves import averaged, mean_curve, training_figures
from conescope.report.drawing import arm_color, label, rounded
from conescope.report.figures import MAP_POINTS, map_figures, spectrum_figure
from conescope.results import Bars
from tests.samples.finetuning import finetuning


def changed(result, arm, **update):
    """Return the result with every run of one arm changed."""
    runs = tuple(run.model_copy(update=update) for run in result.arms[arm].runs)
    arms = list(result.arms)
    arms[arm] = arms[arm].model_copy(update={"runs": runs})
    return result.model_copy(update={"arms": tuple(arms)})


def panel(result, name):
    return next(figure for figure in training_figures(result) if figure.name == name)


def points(trace):
    return list(zip(trace["x"], trace["y"], strict=True))


def test_five_significant_digits():
    assert rounded([1234567.0, 0.000123456, float("inf")]) == [1234600.0, 0.00012346, None]


def test_labels_survive_plotly():
    assert label("<b>a</b>\n& $x$") == "&lt;b&gt;a&lt;/b&gt; &amp; &#36;x&#36;"
    assert label("x" * 41) == "x" * 39 + "…"


def test_color_means_a_regularizer():
    both, alone = finetuning(seeds=(0,)), finetuning(seeds=(0,), plain=False)
    assert [arm_color(both, 0), arm_color(both, 1)] == ["var(--plain)", "var(--arm-0)"]
    assert arm_color(alone, 0) == "var(--arm-0)"


def test_long_histories_become_means_of_neighbors():
    curve = [(float(step), float(step % 2)) for step in range(480)]  # 480 = 120 chunks of 4
    assert averaged(curve)[:2] == [(1.5, 0.5), (5.5, 0.5)]
    assert len(averaged(curve)) == 120
    assert averaged([]) == []


def test_mean_of_curves_takes_the_steps_of_all():
    assert mean_curve([[(1.0, 2.0), (2.0, 8.0)], [(2.0, 4.0), (3.0, 1.0)]]) == [(2.0, 6.0)]


def test_one_thin_line_a_run_and_their_mean():
    result = finetuning()
    loss = panel(result, "task-loss").views[0].data
    assert [(trace["name"], trace["legendgroup"]) for trace in loss] == [
        ("plain, seed 0", "arm-0"),
        ("plain, seed 1", "arm-0"),
        ("plain, mean", "arm-0"),
        ("persistent-entropy, seed 0", "arm-1"),
        ("persistent-entropy, seed 1", "arm-1"),
        ("persistent-entropy, mean", "arm-1"),
    ]
    history = result.arms[0].runs[1].history
    assert points(loss[1]) == [(row["step"], float(f"{row['task_loss']:.5g}")) for row in history]
    assert loss[2]["y"][0] == pytest.approx((loss[0]["y"][0] + loss[1]["y"][0]) / 2, rel=1e-4)


def test_rows_may_lack_any_quantity():
    result = finetuning(seeds=(0,))
    rows = ({"step": 1.0, "loss": 3.0}, {"step": 2.0}, {"step": 4.0, "loss": 1.0, "gradient_share": 0.25})
    plain = changed(result, 0, history=rows)
    assert points(panel(plain, "task-loss").views[0].data[0]) == [(1.0, 3.0), (4.0, 1.0)]
    # The loss of a regularized run is a sum, so it is not shown as the loss of the task.
    both = changed(plain, 1, history=rows)
    assert [trace["legendgroup"] for trace in panel(both, "task-loss").views[0].data] == ["arm-0"]
    assert points(panel(both, "gradient-share").views[0].data[1]) == [(4.0, 0.25)]
    assert [figure.name for figure in training_figures(both)] == ["task-loss", "main-score", "gradient-share"]


def test_final_score_ends_the_curve_of_evaluations():
    result = changed(
        finetuning(seeds=(0,)),
        0,
        evaluations=({"step": 5.0, "accuracy": 0.5},),
        steps=9,
        scores={"accuracy": 0.75},
    )
    assert points(panel(result, "main-score").views[0].data[0]) == [(5.0, 0.5), (9.0, 0.75)]


def test_spectrum_before_is_dashed_and_after_solid():
    result = finetuning()
    figure = spectrum_figure(result)
    assert [view.label for view in figure.views] == ["seed 0", "seed 1"]
    before, plain, regularized = figure.views[1].data
    run = result.arms[1].runs[1]
    assert before["y"] == rounded(run.before.spectrum)
    assert regularized["y"] == rounded(run.after.spectrum)
    assert regularized["x"] == list(range(1, 385))
    assert [trace["line"]["dash"] for trace in (before, plain, regularized)] == ["dash", "solid", "solid"]
    assert figure.layout["yaxis"]["type"] == "log"


def test_spectrum_leaves_out_what_is_rounding_error():
    result = finetuning(seeds=(0,), plain=False)
    after = result.arms[0].runs[0].after.model_copy(update={"spectrum": (0.75, 0.25, 1e-17, 0.0)})
    trace = spectrum_figure(changed(result, 0, after=after)).views[0].data[1]
    assert points(trace) == [(1, 0.75), (2, 0.25)]


def test_arms_that_start_apart_have_a_dashed_line_each():
    result = finetuning(seeds=(0,))
    start = result.arms[1].runs[0].before.model_copy(update={"spectrum": (0.5, 0.5)})
    traces = spectrum_figure(changed(result, 1, before=start)).views[0].data
    assert [trace["name"] for trace in traces if trace["line"]["dash"] == "dash"] == [
        "plain, before",
        "persistent-entropy, before",
    ]


def test_barcode_draws_every_bar_longest_first():
    result = finetuning(seeds=(0,))
    bars = (
        Bars(label="a", lengths=(3.0, 2.0, 1.0), selected=(True, False, False)),
        Bars(label="b", lengths=(1.5, 2.5), selected=(False, True)),
    )
    after = result.arms[1].runs[0].after.model_copy(update={"bars": bars})
    view = barcode_figure(changed(result, 1, after=after)).views[-1]
    muted, strong = view.data
    # A header of 30 pixels, then bars 7 pixels apart: class a from 30 to 51, class b from 81 to 95.
    assert points(strong) == [(3.0, 33.5), (2.5, 84.5)]
    assert points(muted) == [(2.0, 40.5), (1.0, 47.5), (1.5, 91.5)]
    assert strong["marker"]["color"] != muted["marker"]["color"]
    assert view.layout["yaxis"]["range"] == [95, 0]
    texts = [note["text"] for note in view.layout["annotations"]]
    assert texts == ["a", "1 of 3 selected", "b", "1 of 2 selected"]
    assert "a: 1 of 3 bars selected, longest 3, shortest 1" in view.alt


def test_barcode_states_name_each_start_once():
    result = finetuning(seeds=(0, 1))
    assert [name for name, _ in barcode_states(result)] == [
        "before training",
        "after, plain, seed 0",
        "after, plain, seed 1",
        "after, persistent-entropy, seed 0",
        "after, persistent-entropy, seed 1",
    ]
    assert barcode_sides(result) == (0, 3)


def test_arms_with_other_rules_have_their_own_start():
    result = finetuning(seeds=(0,), regularized=("recursive", "all bars"))
    start = result.arms[2].runs[0].before
    every = tuple(bars.model_copy(update={"selected": (True,) * len(bars.lengths)}) for bars in start.bars)
    result = changed(result, 2, before=start.model_copy(update={"bars": every}))
    assert [name for name, _ in barcode_states(result)][:2] == [
        "before training, bars selected as for plain and recursive",
        "before training, bars selected as for all bars",
    ]


def test_a_class_without_bars_is_named():
    result = finetuning(seeds=(0,))
    bars = (Bars(label="lonely", lengths=(), selected=()),)
    after = result.arms[1].runs[0].after.model_copy(update={"bars": bars})
    view = barcode_figure(changed(result, 1, after=after)).views[-1]
    assert view.layout["annotations"][1]["text"] == "0 of 0 selected"
    assert "lonely: no bars" in view.alt


def test_map_shows_each_point_in_its_class():
    result = finetuning(seeds=(0,))
    before, plain, regularized = map_figures(result)
    assert [figure.title for figure in (before, plain, regularized)] == [
        "Before training",
        "After, plain",
        "After, persistent-entropy",
    ]
    drawn = result.arms[1].runs[0].after.map
    for index, trace in enumerate(regularized.views[0].data):
        own = [(x, y) for x, y, of in zip(drawn.x, drawn.y, drawn.labels, strict=True) if of == index]
        assert points(trace) == list(zip(rounded(x for x, _ in own), rounded(y for _, y in own), strict=True))
    assert regularized.views[0].alt == f"{drawn.share:.0%} of the variance lies in this plane"


def test_map_says_when_it_leaves_points_out():
    result = finetuning(seeds=(0,), points=MAP_POINTS + 1)
    view = map_figures(result)[0].views[0]
    assert view.alt.endswith("one point in 2 is drawn")
    assert sum(len(trace["x"]) for trace in view.data) == 501  # 1001 points, every second


def test_a_seed_that_an_arm_lacks_has_an_empty_map():
    result = finetuning(seeds=(0, 1))
    short = result.arms[1].model_copy(update={"runs": result.arms[1].runs[:1]})
    figure = map_figures(result.model_copy(update={"arms": (result.arms[0], short)}))[2]
    assert [bool(view.data) for view in figure.views] == [True, False]
    assert figure.views[1].alt == "no run with seed 1"
