"""The evaluator on models of sentence-transformers made here."""

import csv
import math

import numpy as np
import pytest
import torch

import conescope
from tests.samples import models

st = pytest.importorskip("sentence_transformers")
TEXTS = [text for text, _ in models.sentences(60, seed=2)]


@pytest.fixture(scope="module")
def model():
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = {word: place for place, word in enumerate(["?", *models.WORDS])}
    tokenizer = Tokenizer(WordLevel(words, unk_token="?"))
    tokenizer.pre_tokenizer = Whitespace()
    weights = np.random.default_rng(0).normal(size=(len(words), 6)).astype("float32")
    embedding = StaticEmbedding(tokenizer, embedding_weights=weights)
    return st.SentenceTransformer(modules=[embedding], device="cpu")


def test_the_metrics_are_those_of_the_embeddings_and_stand_in_the_file(model, tmp_path):
    from conescope.training import GeometryEvaluator

    evaluator = GeometryEvaluator(TEXTS, ("mean_cosine", "effective_rank"), name="dev")
    found = evaluator(model, str(tmp_path / "eval"), epoch=1, steps=20)
    truth = conescope.measure(model.encode(TEXTS), measures=["mean_cosine", "effective_rank"])
    expected = {
        "dev_mean_cosine": truth.value("mean_cosine"),
        "dev_effective_rank": truth.value("effective_rank"),
        "dev_collapsed": 0.0,
    }
    assert found == pytest.approx(expected)
    assert evaluator.primary_metric == "dev_effective_rank"

    evaluator(model, str(tmp_path / "eval"), epoch=2, steps=40)
    with (tmp_path / "eval" / "geometry_evaluation_dev_results.csv").open() as file:
        header, first, second = csv.reader(file)
    assert header == ["epoch", "steps", "mean_cosine", "effective_rank", "collapsed"]
    assert first[:2] == ["1", "20"]
    assert second[:2] == ["2", "40"]
    assert [float(cell) for cell in first[2:]] == pytest.approx(list(expected.values()))


def test_a_collapsed_model_warns_and_undefined_measures_are_nan(model):
    from conescope.training import GeometryEvaluator

    class Constant:
        model_card_data = model.model_card_data

        def encode(self, sentences, **options):
            return torch.ones(len(sentences), 6)

    with pytest.warns(RuntimeWarning, match="all points coincide"):
        found = GeometryEvaluator(TEXTS, ("mean_cosine", "isoscore"))(Constant())
    assert found["collapsed"] == 1
    assert found["mean_cosine"] == pytest.approx(1)
    assert math.isnan(found["isoscore"])


def test_it_is_one_evaluator_among_others(model, tmp_path):
    from sentence_transformers.sentence_transformer.evaluation import SequentialEvaluator

    from conescope.training import GeometryEvaluator

    both = SequentialEvaluator([GeometryEvaluator(TEXTS, name="a"), GeometryEvaluator(TEXTS[:30], name="b")])
    found = both(model, str(tmp_path))
    assert found["sequential_score"] == found["b_effective_rank"]


def test_settings_are_checked(without_shape_checks):
    from conescope.training import GeometryEvaluator

    with pytest.raises(ValueError, match="a list of two sentences or more, got 'one text'"):
        GeometryEvaluator("one text")
    with pytest.raises(ValueError, match="no measure 'nope'"):
        GeometryEvaluator(TEXTS, ("nope",))
