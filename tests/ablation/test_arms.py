"""What a text of an arm means, and what is refused."""

import pytest
import torch

from conescope.ablation.arms import LOSSES, ArmSpec, parse_arm
from conescope.losses import (
    Balanced,
    KoLeoLoss,
    Layers,
    OnSphere,
    PerClass,
    PersistentEntropyLoss,
    Remembered,
    spectral_entropy_loss,
)

POINTS = torch.randn(24, 5, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(24) % 2


@pytest.mark.parametrize("text", ["none", "plain", " none "])
def test_plain_training_has_no_loss(text):
    arm = parse_arm(text)
    assert (arm.name, arm.loss(), arm.fixed, arm.settings) == ("plain", None, True, None)
    assert arm == ArmSpec()


TEXTS = [name + (":zeta=0" if name == "iso-score" else "") for name in LOSSES]  # others need a reference


@pytest.mark.parametrize("text", TEXTS)
def test_every_loss_is_made_with_the_weight(text):
    arm = parse_arm(text)
    once, thrice = arm.loss(1.0)(POINTS, LABELS), arm.loss(3.0)(POINTS, LABELS)
    assert once != 0
    torch.testing.assert_close(thrice, 3 * once)
    assert not arm.fixed


def test_no_loss_draws_from_the_generator_of_the_dropout():
    for text in TEXTS:
        before = torch.get_rng_state()
        parse_arm(text).loss(1.0)(POINTS, LABELS)
        assert torch.equal(torch.get_rng_state(), before), text


def test_wrappers_are_nested_in_the_order_that_works():
    loss = parse_arm("koleo:per_class=true,sphere=true,memory=32,balanced=0.1").loss()
    assert isinstance(loss, Balanced)
    assert loss.share == 0.1
    assert isinstance(loss.loss, Remembered)
    assert loss.loss.size == 32
    assert isinstance(loss.loss.loss, PerClass)
    assert isinstance(loss.loss.loss.loss, OnSphere)
    assert isinstance(loss.loss.loss.loss.loss, KoLeoLoss)
    assert torch.isfinite(loss(POINTS, LABELS))


def test_layers_have_a_loss_each():
    loss = parse_arm("koleo:layers=-1+3").loss(0.5)
    assert isinstance(loss, Layers)
    assert loss.layers == (-1, 3)
    expected = 0.5 * (KoLeoLoss()(POINTS) + KoLeoLoss()(2 * POINTS + 1))
    torch.testing.assert_close(loss({-1: POINTS, 3: 2 * POINTS + 1}), expected)


def test_options_of_the_loss_are_converted_to_their_types():
    bars = parse_arm("persistent-entropy:selection=none;min_points=3").loss(2.0)
    assert isinstance(bars, PersistentEntropyLoss)
    assert (bars.selection, bars.min_points, bars.weight) == (None, 3, 2.0)
    spectral = parse_arm("spectral-entropy:order=2,center=False").loss(1.0)
    expected = spectral_entropy_loss(POINTS, order=2, center=False)
    torch.testing.assert_close(spectral(POINTS), expected)
    assert parse_arm("uniformity:t=1").loss().t == 1.0


def test_names_are_read_back_and_defaults_are_left_out():
    for text in ("koleo:sphere=true,weight=0.1", "persistent-entropy:selection=None", "koleo:layers=-1+3"):
        assert parse_arm(text).name == text
        assert parse_arm(parse_arm(text).name) == parse_arm(text)
    assert parse_arm("koleo:weight=0.12345678").name == "koleo:weight=0.12345678"  # no digit is lost
    assert parse_arm("koleo:normalize=true,sphere=false").name == "koleo"
    assert parse_arm("koleo:weight=0.1,sphere=true") == parse_arm("koleo:sphere=true;weight=0.1")


def test_a_weight_is_fixed_once():
    given = parse_arm("koleo:weight=0.1")
    assert given.fixed
    assert given.with_weight(3.0) == given
    assert given.loss(3.0).weight == 0.1
    chosen = parse_arm("koleo").with_weight(3.0)
    assert (chosen.name, chosen.fixed) == ("koleo:weight=3", True)
    assert parse_arm("koleo:balanced=0.05").fixed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("isoscore", "no regularizer 'isoscore'; there are none, cosine, iso-score"),
        ("koleo:wieght=1", "no option 'wieght'; there are normalize, eps, weight, sphere"),
        ("koleo:weight=much", "option weight takes float, got 'much'"),
        ("koleo:normalize=2", "option normalize takes bool"),
        ("koleo:weight", "written option=value"),
        ("koleo:eps=1,eps=2", "given twice"),
        ("koleo:weight=1,balanced=0.1", "either balanced or weight"),
        ("koleo:layers=last", r"joined by \+"),
        ("koleo:balanced=2", "share must be"),
        ("persistent-entropy:per_class=true", "per class by itself"),
        ("persistent-entropy:selection=best", "option selection takes"),
        ("none:weight=1", "no options"),
        ("iso-score:per_class=true", "add zeta=0"),
        ("iso-score:reference=1", "no option 'reference'"),
    ],
)
def test_what_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        parse_arm(text)
