"""A fix behind the pooling of a model of sentence-transformers, built here, saved and loaded."""

import numpy as np
import pytest
import torch

from conescope.transforms import AllButTheTop, Centering, ClusterAllButTheTop, Standardizing, Whitening

WORDS = ["a", "sound", "of", "rain", "on", "roofs", "at", "night"]
TEXTS = [f"{one} {other}" for one in WORDS for other in WORDS]


@pytest.fixture(scope="module")
def embedding():
    pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(["?", *WORDS])}, unk_token="?"))
    tokenizer.pre_tokenizer = Whitespace()
    weights = np.random.default_rng(0).normal(size=(9, 6)).astype("float32") + 2
    return StaticEmbedding(tokenizer, embedding_weights=weights)


@pytest.mark.parametrize(
    "fix",
    [Centering(), Standardizing(), Whitening(n_components=3), AllButTheTop(2), ClusterAllButTheTop(2, 1, 0)],
    ids=str,
)
def test_the_model_gives_fixed_embeddings_also_from_its_folder(embedding, fix, tmp_path):
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(modules=[embedding], device="cpu").encode(TEXTS)
    expected = fix.fit(plain).transform(plain)
    model = SentenceTransformer(modules=[embedding, fix.as_sentence_transformers_module()], device="cpu")
    np.testing.assert_allclose(model.encode(TEXTS), expected, atol=2e-5)
    model.save(str(tmp_path / "model"))
    trusted = isinstance(fix, ClusterAllButTheTop)  # the others are modules of sentence-transformers itself
    again = SentenceTransformer(str(tmp_path / "model"), device="cpu", trust_remote_code=trusted)
    np.testing.assert_allclose(again.encode(TEXTS), expected, atol=2e-5)


def test_gradients_pass_through_clusters():
    points = np.random.default_rng(0).normal(size=(30, 4))
    module = ClusterAllButTheTop(2, 1, random_state=0).fit(points).as_sentence_transformers_module()
    rows = torch.from_numpy(points[:5]).half().requires_grad_()
    found = module({"sentence_embedding": rows, "other": 1})
    assert found["other"] == 1
    assert found["sentence_embedding"].dtype == torch.float16
    found["sentence_embedding"].float().square().sum().backward()
    assert rows.grad is not None
    assert float(rows.grad.norm()) > 0
    assert module.get_sentence_embedding_dimension() == 4
