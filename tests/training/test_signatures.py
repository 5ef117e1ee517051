"""Signs in the log: each planted, and absent where it is not."""

import logging
import math
from types import SimpleNamespace

import pytest

from conescope.losses import Balanced, KoLeoLoss, OnSphere, PersistentEntropyLoss
from conescope.training.signature_callback import SignatureCallback
from conescope.training.signatures import Known, outcome_signatures, training_signatures

HEALTHY = {
    "regularizer": -2 * math.log(10) * 0.9,  # two classes of ten bars, entropy at 90 %
    "gradient_share": 0.1,
    "bars": 20.0,
    "bars_kept": 20.0,
    "classes_skipped": 0.0,
}
KNOWN = Known(classes=2, dimension=8, majority=0.6, entropy_weight=1.0)


def kinds(row=None, *, rows=3, evaluations=(), known=KNOWN):
    history = [HEALTHY | (row or {})] * rows
    return [sign.kind for sign in training_signatures(history, evaluations, known)]


def test_a_healthy_run_has_no_signs():
    assert kinds() == []
    assert kinds(evaluations=[{"matthews": 0.1, "accuracy": 0.7}] * 3) == []
    assert training_signatures([]) == []


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"gradient_share": 0.51}, "taking over"),
        ({"classes_skipped": 0.5, "regularizer": -3.0}, "classes skipped"),
        ({"bars_kept": 4.9, "regularizer": -1.0}, "few bars"),
        ({"regularizer": -2 * math.log(10) * 0.995}, "entropy at its maximum"),
        (
            {"regularizer": -0.01 * 2 * math.log(10) * 0.995, "balanced_weight": 0.01},
            "entropy at its maximum",
        ),
    ],
)
def test_planted_signs(row, kind):
    assert kinds(row) == [kind]


def test_two_rows_are_not_enough_but_for_a_skipped_class():
    assert kinds({"gradient_share": 0.9}, rows=2) == []
    assert kinds({"classes_skipped": 1.0, "regularizer": -1.0}, rows=1) == ["classes skipped"]


def test_a_weight_divides_out():
    half = Known(classes=2, dimension=8, majority=0.6, entropy_weight=0.5)
    assert kinds({"regularizer": -math.log(10) * 0.995}, known=half) == ["entropy at its maximum"]
    assert kinds({"regularizer": -math.log(10) * 0.9}, known=half) == []


def test_chance_is_the_most_frequent_class_after_two_evaluations():
    chance = {"matthews": 0.0, "accuracy": 0.6}
    assert kinds(evaluations=[chance]) == []
    assert kinds(evaluations=[chance, chance]) == ["score at chance"]
    assert kinds(evaluations=[chance, {"matthews": 0.0, "accuracy": 0.63}]) == []


def test_known_from_a_regularizer():
    labels = [0, 0, 0, 1]
    inside = Balanced(OnSphere(PersistentEntropyLoss(weight=2.0)))
    assert Known.of(inside, labels, 4) == Known(2, 4, 0.75, 2.0)
    assert Known.of(KoLeoLoss(), labels, 4).entropy_weight is None
    assert Known.of(lambda points, labels: points.sum(), labels, 4).entropy_weight is None


def test_isotropy_that_does_not_move_names_the_reason():
    (sign,) = outcome_signatures(0.30, 0.30, 0.0, 0.01, [HEALTHY], Known(2, 384, 0.6, 1.0))
    assert "changed by +0.0%" in sign.text
    assert "11 points of a class in a batch are few for 384 dimensions" in sign.text
    (sign,) = outcome_signatures(0.301, 0.30, 0.0, 0.01)
    assert "try a larger weight" in sign.text
    (sign,) = outcome_signatures(0.33, 0.30, 0.0, 0.01)
    assert sign.kind == "anisotropy rose"
    assert "changed by +10.0%" in sign.text
    assert outcome_signatures(0.29, 0.30, 0.0, 0.01) == []


def test_a_score_that_drops_is_told_beyond_two_errors():
    assert [sign.kind for sign in outcome_signatures(0.2, 0.3, -0.03, 0.01)] == ["score dropped"]
    assert outcome_signatures(0.2, 0.3, -0.03, 0.02) == []
    assert outcome_signatures(None, None, None, None) == []


def test_each_sign_is_logged_once(caplog):
    state = SimpleNamespace(is_world_process_zero=True, global_step=7, log_history=[])
    callback = SignatureCallback(KNOWN)
    with caplog.at_level(logging.WARNING, logger="conescope"):
        for _ in range(6):
            state.log_history.append(HEALTHY | {"gradient_share": 0.9})
            callback.on_log(None, state, None)
    (record,) = caplog.records
    assert record.getMessage().startswith("step 7: the regularizer is taking over: 90%")
