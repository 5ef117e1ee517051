"""Losses of sentence-transformers with a regularizer, on a small BERT with mean pooling."""

import pytest
import torch

from conescope.losses import (
    Balanced,
    CosineLoss,
    KoLeoLoss,
    Layers,
    PersistentEntropyLoss,
    UniformityLoss,
)
from conescope.training import WithRegularizer
from tests.samples import models

st = pytest.importorskip("sentence_transformers")
pytest.importorskip("datasets")
from sentence_transformers.sentence_transformer import losses  # noqa: E402

TEXTS = [text for text, _ in models.sentences(24, seed=1)]
ANCHORS, POSITIVES, NEGATIVES = TEXTS[:8], TEXTS[8:16], TEXTS[16:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return models.save_bert(tmp_path_factory.mktemp("model") / "bert", dropout=0.0)


@pytest.fixture
def model(folder):
    from sentence_transformers.sentence_transformer import modules

    words = modules.Transformer(str(folder))
    pooling = modules.Pooling(words.get_embedding_dimension(), pooling_mode="mean")
    return st.SentenceTransformer(modules=[words, pooling], device="cpu").train()


def features(model, *columns):
    return [dict(model.preprocess(list(column))) for column in columns]


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def total(parts):
    return torch.stack(list(parts.values())).sum()


@pytest.mark.parametrize(
    ("name", "columns", "labels"),
    [
        ("MultipleNegativesRankingLoss", (ANCHORS, POSITIVES), None),
        ("MultipleNegativesRankingLoss", (ANCHORS, POSITIVES, NEGATIVES), None),  # two columns in one pass
        ("CosineSimilarityLoss", (ANCHORS, POSITIVES), torch.linspace(0, 1, 8)),
        ("ContrastiveLoss", (ANCHORS, POSITIVES), torch.arange(8) % 2),
        ("TripletLoss", (ANCHORS, POSITIVES, NEGATIVES), None),
        ("CachedMultipleNegativesRankingLoss", (ANCHORS, POSITIVES, NEGATIVES), None),
    ],
)
def test_value_and_gradient_are_the_sum_of_both(model, name, columns, labels):
    options = {"mini_batch_size": 3} if "Cached" in name else {}
    base = getattr(losses, name)(model, **options)
    parts = WithRegularizer(base, UniformityLoss(), weight=0.3)(features(model, *columns), labels)
    assert set(parts) == {"task_loss", "regularizer"}
    found = gradients(model, total(parts))

    task = base(features(model, *columns), labels)
    expected = gradients(model, task)
    clouds = [model(one)["sentence_embedding"] for one in features(model, *columns)]
    own = 0.3 * sum(UniformityLoss()(cloud) for cloud in clouds) / len(clouds)
    expected = expected + gradients(model, own)
    torch.testing.assert_close(parts["task_loss"], task)
    torch.testing.assert_close(parts["regularizer"], own.detach(), check_dtype=False)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
    assert float(gradients(model, own_again(model, columns)).norm()) > 1e-4  # so that the sum says something


def own_again(model, columns):
    return UniformityLoss()(model(features(model, *columns)[0])["sentence_embedding"])


def test_the_cached_loss_sees_the_whole_batch_under_dropout(model):
    """Each part is embedded again with the same dropout: the gradient is that of the values seen."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.2
    seen = []

    def regularizer(points, labels=None):
        seen.append(points.detach().clone())
        return points.square().sum()

    base = losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=3, scale=1e-6)  # no task
    torch.manual_seed(0)
    parts = WithRegularizer(base, regularizer, weight=2.0)(features(model, ANCHORS, POSITIVES))
    found = gradients(model, total(parts))
    assert [tuple(points.shape) for points in seen] == [(8, 16), (8, 16)]
    assert float(parts["regularizer"]) == pytest.approx(sum(float(p.square().sum()) for p in seen))

    torch.manual_seed(0)  # the same passes, with their graphs
    again = []
    for column in features(model, ANCHORS, POSITIVES):
        for start in (0, 3, 6):
            cut = {name: value[start : start + 3] for name, value in column.items() if torch.is_tensor(value)}
            longest = int(cut["attention_mask"].sum(dim=1).max())
            again.append(
                model({name: value[:, :longest] for name, value in cut.items()})["sentence_embedding"]
            )
    expected = gradients(model, torch.cat(again).square().sum())
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert "calculate_loss" not in vars(base)


def test_without_gradients_a_cached_loss_gives_the_same_values(model):
    base = losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=3)
    wrapped = WithRegularizer(base, CosineLoss())
    expected = {name: part.item() for name, part in wrapped(features(model, ANCHORS, POSITIVES)).items()}
    with torch.no_grad():
        found = wrapped(features(model, ANCHORS, POSITIVES))
    assert {name: float(part) for name, part in found.items()} == pytest.approx(expected, rel=1e-5)


def test_parts_of_a_loss_stay_parts(model):
    base = losses.GlobalOrthogonalRegularizationLoss(model)
    parts = WithRegularizer(base, CosineLoss(), weight=0.5)(features(model, ANCHORS, POSITIVES))
    assert set(parts) == {"gor_mean", "gor_second_moment", "regularizer"}
    twice = WithRegularizer(WithRegularizer(base, CosineLoss()), CosineLoss())
    with pytest.raises(ValueError, match="a part named regularizer already"):
        twice(features(model, ANCHORS, POSITIVES))


def test_class_labels_reach_the_regularizer_and_those_of_pairs_do_not(model):
    seen = []

    def regularizer(points, labels=None):
        seen.append(labels)
        return points.sum() * 0

    labels = torch.arange(8) % 2
    WithRegularizer(losses.BatchHardTripletLoss(model), regularizer)(features(model, ANCHORS), labels)
    WithRegularizer(losses.ContrastiveLoss(model), regularizer)(features(model, ANCHORS, POSITIVES), labels)
    assert torch.equal(seen[0], labels)
    assert seen[1:] == [None, None]


def test_matryoshka_is_regularized_at_its_first_pass(model):
    base = losses.MatryoshkaLoss(model, losses.MultipleNegativesRankingLoss(model), [16, 8, 4])
    shapes = []

    def regularizer(points, labels=None):
        shapes.append(tuple(points.shape))
        return points.sum()

    WithRegularizer(base, regularizer)(features(model, ANCHORS, POSITIVES))
    assert shapes == [(8, 16), (8, 16)]
    assert not model._forward_hooks


def test_what_it_can_not_do_is_refused_with_the_reason(model):
    inner = losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=3)
    hidden = WithRegularizer(losses.MatryoshkaLoss(model, inner, [16, 8]), KoLeoLoss())
    with pytest.raises(RuntimeError, match="MatryoshkaLoss must embed its 2 columns one after another"):
        hidden(features(model, ANCHORS, POSITIVES))
    assert not model._forward_hooks
    with pytest.raises(TypeError, match="ContrastiveTensionLoss has none"):
        WithRegularizer(losses.ContrastiveTensionLoss(model), KoLeoLoss())
    for regularizer in (Layers({-1: KoLeoLoss()}), Balanced(KoLeoLoss())):
        with pytest.raises(ValueError, match="take the loss inside"):
            WithRegularizer(inner, regularizer)


def test_a_trainer_with_two_datasets_logs_the_parts(model, tmp_path):
    from datasets import Dataset

    pairs = Dataset.from_dict({"anchor": ANCHORS, "positive": POSITIVES})
    scored = Dataset.from_dict({"one": ANCHORS, "other": POSITIVES, "score": [0.1 * i for i in range(8)]})
    rank = losses.MultipleNegativesRankingLoss(model)
    arguments = st.SentenceTransformerTrainingArguments(
        str(tmp_path),
        max_steps=4,
        per_device_train_batch_size=4,
        logging_steps=4,
        learning_rate=1e-3,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        save_strategy="no",
        dataloader_pin_memory=False,
    )
    trainer = st.SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset={"pairs": pairs, "scored": scored},
        loss={
            "pairs": WithRegularizer(rank, PersistentEntropyLoss(selection=None, min_points=3), weight=0.1),
            "scored": WithRegularizer(losses.CosineSimilarityLoss(model), KoLeoLoss(), weight=0.1),
        },
    )
    trainer.train()
    logs = trainer.state.log_history[0]
    assert logs["task_loss"] + logs["regularizer"] == pytest.approx(float(logs["loss"]), abs=1e-3)
    assert logs["regularizer"] != 0


def test_the_model_card_names_both(model):
    wrapped = WithRegularizer(losses.MultipleNegativesRankingLoss(model), CosineLoss(), 0.25)
    found = wrapped.get_config_dict()
    assert found["loss"] == "MultipleNegativesRankingLoss"
    assert found["regularizer"] == repr(CosineLoss())
    assert found["weight"] == 0.25
    assert "weight=0.25" in repr(wrapped)
