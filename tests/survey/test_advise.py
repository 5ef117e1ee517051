"""Advice: what is planted is found, what is not there is not, and no map is scored where it was fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from scipy.stats import t as student

from conescope._intervals import jackknife_interval
from conescope.results import Advice, Candidate
from conescope.survey import advise
from conescope.survey.gains import Gain, candidates_of, corrected
from conescope.survey.held_out import LabeledPoints, ScoredPairs, folds_of
from conescope.survey.pairs import Pairs, as_pairs
from conescope.survey.simplest import best_of, measured_against, simplest_of
from conescope.survey.trials import Trials
from conescope.transforms import Centering

NAMES = ["nothing", "centering", "all-but-the-top 1", "whitening"]


def scored_pairs(count=250, d=16, seed=0):
    """Pairs of points with directions that agree as much as their score says, and norms of all sizes."""
    generator = np.random.default_rng(seed)
    scores = generator.uniform(size=count)
    first, noise = generator.normal(size=(2, count, d))
    second = scores[:, None] * first + (1 - scores[:, None]) * noise
    points = np.stack([first, second], axis=1).reshape(2 * count, d)
    points *= generator.lognormal(sigma=0.8, size=(2 * count, 1))
    rows = np.arange(2 * count).reshape(count, 2)
    return points, np.column_stack([rows, scores])


def cone(points, size=6.0):
    return points + size * np.eye(points.shape[1])[0]


def test_a_planted_cone_is_found_and_centering_helps():
    points, pairs = scored_pairs()
    found = advise(cone(points), pairs=pairs)
    assert [one.name for one in found.candidates] == NAMES
    centering = found.candidate("centering")
    assert centering.outcome == "better"
    assert centering.p < 0.05
    assert centering.low > 0
    assert found.recommended == "centering"
    assert found.verdict.startswith("centering: on held-out pairs the score changes by +")
    assert any("chosen by its gain on these data" in note for note in found.notes)
    assert found.candidates[0].mean_cosine > 0.5 > centering.mean_cosine
    assert Advice.model_validate_json(found.to_json()) == found
    assert "better" in str(found)


def test_where_there_is_nothing_to_mend_it_is_left_alone():
    points, pairs = scored_pairs()
    found = advise(points, pairs=pairs)
    assert found.recommended is None
    assert found.verdict.startswith("leave it alone: ")
    assert found.candidate("centering").outcome == "within noise"
    assert found.notes == ()


def test_false_recommendations_are_rare():
    wrong = 0
    for seed in range(20):
        points, pairs = scored_pairs(80, 8, seed=100 + seed)
        generator = np.random.default_rng(seed)
        pairs[:, 2] = generator.permutation(pairs[:, 2])  # nothing can help
        wrong += advise(points, pairs=pairs, seed=seed).recommended is not None
    assert wrong <= 3  # 5 % of 20 are 1; 4 or more have a probability of 1.6 %


def test_where_every_fix_hurts_it_says_so():
    """The score is the strength along the mean, which all fixes take away."""
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], 100)
    points = generator.normal(size=(200, 8)) * 0.1
    points[:, 0] += np.where(labels == 0, 1.0, 0.0)
    points[:, 1] += 1
    found = advise(points, labels=labels)
    top = found.candidate("all-but-the-top 1")
    assert top.outcome == "worse"
    assert top.score < found.candidates[0].score
    assert found.recommended is None


def test_labels_by_hand():
    """Two points a class on rays; the class means of the other fold decide."""
    task = LabeledPoints(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 0]))
    space = np.array([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0], [-1.0, 3.0], [0.0, 0.0]])
    np.testing.assert_array_equal(task.outcomes(space, 0), [1, 1, 0])  # class 2 is in no other fold
    assert task.score(np.array([1.0, 0, 1, 1, 0]), np.array([0, 1, 2])) == pytest.approx(2 / 3)


def test_pairs_by_scipy_and_by_hand():
    generator = np.random.default_rng(0)
    first, second = generator.integers(0, 30, size=(2, 40))
    scores = generator.integers(0, 5, size=40).astype(float)  # with ties
    task = ScoredPairs(Pairs(first, second, scores), 30, folds_of(40, 4, 0))
    space = generator.normal(size=(30, 3))
    outcomes = np.empty(40)
    expected = []
    for fold in range(4):
        mine = task.fold_of == fold
        outcomes[mine] = task.outcomes(space, fold)
        one, other = space[first[mine]], space[second[mine]]
        cosines = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
        np.testing.assert_allclose(outcomes[mine], cosines)
        expected.append(spearmanr(cosines, scores[mine]).statistic)
        held = set(first[mine]) | set(second[mine])
        assert set(np.flatnonzero(task.held(fold))) == held
    assert task.score(outcomes, np.arange(40)) == pytest.approx(np.mean(expected))
    zero = task.outcomes(np.zeros((30, 3)), 0)
    np.testing.assert_array_equal(zero, 0)


def test_the_interval_and_the_score_are_those_of_a_fit_elsewhere():
    """Centering again, step by step: a mean without the held-out points, cosines, and the jackknife."""
    points, pairs = scored_pairs(60, 5)
    points = cone(points)
    found = advise(points, pairs=pairs, folds=3, seed=7).candidate("centering")
    fold_of, rows = folds_of(60, 3, 7), pairs[:, :2].astype(int)
    before, after = np.empty(60), np.empty(60)

    def cosine(one, other):
        return (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)

    for fold in range(3):
        mine = fold_of == fold
        mean = np.delete(points, rows[mine].ravel(), axis=0).mean(0)
        one, other = points[rows[mine, 0]], points[rows[mine, 1]]
        before[mine], after[mine] = cosine(one, other), cosine(one - mean, other - mean)

    def gain(chosen):
        parts = [chosen[fold_of[chosen] == fold] for fold in range(3)]
        return np.mean([spearmanr(after[part], pairs[part, 2]).statistic for part in parts]) - np.mean(
            [spearmanr(before[part], pairs[part, 2]).statistic for part in parts]
        )

    low, high = jackknife_interval(gain, 60, groups=10, seed=7)
    assert (found.difference, found.low, found.high) == pytest.approx((gain(np.arange(60)), low, high))


def candidate(p, difference=0.1):
    return Candidate(
        name=str(p), kind="x", settings={}, mean_cosine=0, isoscore=0, p=p, difference=difference
    )


def test_holm_by_hand():
    found = corrected([candidate(0.04), candidate(0.01), candidate(0.03, -0.1), candidate(None)])
    assert [one.p for one in found] == [pytest.approx(0.09), pytest.approx(0.04), pytest.approx(0.09), None]
    assert [one.outcome for one in found] == ["within noise", "better", "within noise", "not known"]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_lies_between_none_and_bonferroni(values):
    for before, after in zip(values, corrected([candidate(p) for p in values]), strict=True):
        assert before <= after.p <= min(len(set(values)) * before * len(values), 1) + 1e-12


def test_p_values_by_table():
    assert Gain(0.3, 0.3).p() == pytest.approx(0.05)  # an interval that ends at 0
    # quantiles of Student's t with 9 degrees of freedom: 2.262157, and 3.249836 for 99 %
    assert Gain(3.249836, 2.262157).p() == pytest.approx(0.01, abs=1e-7)
    assert Gain(0.5, 2.262157).interval(5) == pytest.approx((0.5 - 3.249836, 0.5 + 3.249836), abs=1e-6)
    assert (Gain(0.0, 0.0).p(), Gain(0.1, 0.0).p()) == (1, 0)
    assert Gain(0.1, None).interval() is None


def test_where_centering_and_whitening_help_equally_centering_is_recommended():
    """In a cone around isotropic points, whitening is centering and a scale, but for chance."""
    bests = set()
    for seed in range(3):
        points, pairs = scored_pairs(seed=seed)
        found = advise(cone(points), pairs=pairs)
        assert [one.outcome for one in found.candidates[1:]] == ["better"] * 3
        assert found.recommended == "centering"
        centering, best = found.candidate("centering"), found.candidate(found.best)
        assert best.score == max(one.score for one in found.candidates)
        assert centering.to_best == pytest.approx(centering.score - best.score)
        assert centering.to_best_low <= centering.to_best <= 0 <= centering.to_best_high
        assert (best.to_best, best.to_best_low, best.to_best_high) == (0, 0, 0)
        if found.best != "centering":
            assert (
                f"{found.best} has the highest score, but by {-centering.to_best:.4f} only" in found.verdict
            )
            assert "the simplest is preferred, since it takes fewer numbers from the data" in found.verdict
        bests.add(found.best)
    assert bests - {"centering"}  # or the highest score alone would have done


def stretched(seed=0):
    """Pairs hidden under noise that is strong in five of 16 directions: more than are ever taken away."""
    points, pairs = scored_pairs(seed=seed)
    noise = np.random.default_rng(1000 + seed).normal(size=(len(points), 5))
    norms = np.linalg.norm(points, axis=1, keepdims=True) / 4
    return np.hstack([points[:, :11], 10 * norms * noise]), pairs


def test_where_only_whitening_helps_it_is_recommended():
    points, pairs = stretched()
    found = advise(points, pairs=pairs)
    whitening, centering = found.candidate("whitening"), found.candidate("centering")
    assert (found.recommended, found.best) == ("whitening", "whitening")
    assert [one.outcome for one in found.candidates[1:]] == ["within noise", "within noise", "better"]
    assert whitening.difference > 0.2
    assert centering.to_best is None  # no gain over nothing, so it is not compared
    assert "has the highest score" not in found.verdict


def test_where_both_help_and_whitening_helps_more_it_is_recommended():
    points, pairs = stretched()
    found = advise(np.hstack([points[:, :11] + 6 * np.eye(11)[0], points[:, 11:] / 4]), pairs=pairs)
    centering = found.candidate("centering")
    assert centering.outcome == "better"
    assert centering.to_best_high < 0
    assert found.recommended == found.best == "whitening"


def test_differences_to_the_best_by_the_jackknife_with_the_corrected_quantile():
    """Three fixes, so two that the best is compared with: 2.5 % / 2 above the quantile of Student's t."""
    generator = np.random.default_rng(0)
    task = LabeledPoints(np.zeros(200, dtype=np.int64), folds_of(200, 5, 0))
    hits = {
        name: (generator.uniform(size=200) < share).astype(float)
        for name, share in {"nothing": 0.2, "a": 0.5, "b": 0.9, "c": 0.2}.items()
    }
    fixes = {name: Centering() for name in "abc"}
    trials = Trials(fixes, hits, {name: [(0.0, 0.0)] for name in hits})
    found = candidates_of(trials, task, seed=4)
    assert [one.outcome for one in found] == ["not known", "better", "better", "within noise"]
    one = measured_against("b", found, trials, task, seed=4)[1]
    low, high = jackknife_interval(lambda some: (hits["a"] - hits["b"])[some].mean(), 200, groups=10, seed=4)
    half = (high - low) / 2 / student.ppf(0.975, 9) * student.ppf(1 - 0.025 / 2, 9)
    expected = np.mean(hits["a"] - hits["b"])
    assert one.to_best == pytest.approx(expected)
    assert (one.to_best_low, one.to_best_high) == pytest.approx((expected - half, expected + half))


def ranked(*rows):
    return [
        Candidate(
            name=name,
            kind="x",
            settings={},
            mean_cosine=0,
            isoscore=0,
            score=score,
            outcome=outcome,
            to_best_high=high,
        )
        for name, score, outcome, high in rows
    ]


def test_the_choice_by_hand():
    rows = [
        ("nothing", 0.5, "not known", None),
        ("a", 0.8, "better", -0.01),
        ("b", 0.85, "better", 0.0),
        ("c", 0.9, "better", 0.0),
        ("d", 0.95, "within noise", None),
    ]
    assert best_of(ranked(*rows)) == "c"  # d is higher, but may be chance
    assert simplest_of(ranked(*rows)) == "b"
    assert simplest_of(ranked(rows[0], rows[1], rows[3])) == "c"
    assert (best_of(ranked(rows[0], rows[4])), simplest_of(ranked(rows[0], rows[4]))) == (None, None)


def test_without_a_task_nothing_is_recommended():
    points, _ = scored_pairs()
    found = advise(cone(points))
    assert found.recommended is None
    assert found.verdict.startswith("no recommendation: without pairs or labels only the shape")
    assert [one.score for one in found.candidates] == [None] * 4
    assert found.candidates[0].mean_cosine > 0.5 > abs(found.candidate("centering").mean_cosine)


def test_scores_that_do_not_vary_are_no_ground_for_advice():
    points, pairs = scored_pairs(40)
    pairs[:, 2] = 1
    found = advise(points, pairs=pairs)
    assert found.recommended is None
    assert found.verdict.startswith("no recommendation: the score is not defined")


def test_second_points_in_an_array_of_their_own():
    points, pairs = scored_pairs(60)
    apart = pairs.copy()
    apart[:, :2] = np.arange(60)[:, None]
    found = advise(points[::2], pairs=apart, partners=points[1::2])
    assert found.candidates[0].score == pytest.approx(advise(points, pairs=pairs).candidates[0].score)
    assert found.n == 120


def test_files_and_arrays_give_the_same(tmp_path):
    points, pairs = scored_pairs(60)
    labels = np.where(points[:, 0] > 0, "b", "a")
    np.savez(tmp_path / "a.npz", emb=points, topic=labels)
    (tmp_path / "dev.tsv").write_text(
        "one\tother\tscore\n" + "".join(f"{int(a)}\t{int(b)}\t{score!r}\n" for a, b, score in pairs.tolist())
    )
    assert advise(tmp_path / "a.npz", pairs=tmp_path / "dev.tsv", column="emb") == advise(points, pairs=pairs)
    assert advise(tmp_path / "a.npz", labels="topic", column="emb") == advise(points, labels=labels)
    assert advise(tmp_path / "a.npz", labels=list(labels), column="emb") == advise(points, labels=labels)


def test_pairs_that_share_points_are_told():
    points, pairs = scored_pairs(60)
    pairs[:, 0] = pairs[:, 0] % 20
    assert any("share points" in note for note in advise(points, pairs=pairs).notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0, 1] * 30}, "one task: give pairs or labels"),
        ({"folds": 1}, "folds must be at least 2"),
        ({"pairs": np.zeros((10, 3))}, "advice needs at least 20 pairs to tell help from noise, got 10"),
        ({"pairs": np.zeros((40, 2))}, r"pairs have shape \(m, 3\): .* got an array of shape \(40, 2\)"),
        ({"pairs": [[0, 60, 1.0]] * 20}, "pair 0 names row 60, and there are rows 0 to 59"),
        ({"pairs": [[0, 1.5, 1.0]] * 20}, "names row 1.5"),
        ({"pairs": [[0, 1, float("nan")]] * 20}, "pair 0 holds"),
        ({"pairs": None, "partners": np.zeros((3, 16))}, "give pairs, or leave partners out"),
        ({"partners": np.zeros((60, 3))}, "partners must have 16 dimensions, got 3"),
        ({"pairs": None, "labels": [1] * 60}, "two classes or more"),
        ({"pairs": [[i, 59 - i, i] for i in range(30)], "folds": 2}, None),
    ],
)
def test_what_can_not_be_asked(change, message):
    points, pairs = scored_pairs(30)
    asked = {"pairs": pairs, **change}
    if message is None:  # half of the points are left to fit on
        assert advise(points, **asked).n == 60
        return
    with pytest.raises(ValueError, match=message):
        advise(points, **asked)


def test_pairs_that_leave_too_few_points_to_fit_on():
    points, _ = scored_pairs(15)
    pairs = [[i % 30, (i + 1) % 30, i] for i in range(60)]
    with pytest.raises(ValueError, match=r"leave \d+ of 30 points to fit on, and 20 are needed"):
        advise(points, pairs=pairs, folds=2)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.tsv", "0\t1\t0.5\n0\tx\t1\n", r"line 2 of .*a.tsv holds \['0', 'x', '1'\]"),
        ("a.csv", "0\t1\t0.5\n", "line 1 of"),
        ("a.tsv", "i\tj\ts\n0\t9\t0.5\n", "line 2 of .* names row 9, and there are rows 0 to 4"),
    ],
)
def test_tables_that_are_no_pairs(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        as_pairs(tmp_path / name, 5)
    with pytest.raises(FileNotFoundError, match="to read pairs from"):
        as_pairs(tmp_path / "none.tsv", 5)


@given(st.integers(4, 60), st.integers(2, 6), st.integers(0, 5))
def test_folds_are_even_also_in_classes(count, folds, seed):
    classes = np.arange(count) % 3
    sizes = np.bincount(folds_of(count, folds, seed, classes), minlength=folds)
    assert sizes.max() - sizes.min() <= 1
    for one in range(3):
        of_class = np.bincount(folds_of(count, folds, seed, classes)[classes == one], minlength=folds)
        assert of_class.max() - of_class.min() <= 1
