import pytest

from conescope.capture import Texts
from tests.profile.made import Words


def test_padding_stands_right_and_special_tokens_are_marked():
    prepared = Texts(["7 8 9", "5"], Words())
    assert prepared.sizes == [5, 3]
    batch = prepared.batch([1, 0])
    assert batch.arguments["input_ids"].tolist() == [[0, 5, 1, 0, 0], [0, 7, 8, 9, 1]]
    assert batch.arguments["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert batch.tokens.special.int().tolist() == [[1, 0, 1, 0, 0], [1, 0, 0, 0, 1]]
    assert batch.decoded is None


def test_max_length_cuts():
    assert Texts(["7 8 9", "5"], Words(), max_length=4).ids == [[0, 7, 8, 1], [0, 5, 1]]


def test_a_decoder_reads_the_text_moved_by_one_place():
    batch = Texts(["7 8", "5"], Words(), start=3).batch([0, 1])
    assert batch.arguments["decoder_input_ids"].tolist() == [[3, 0, 7, 8], [3, 0, 5, 0]]
    assert batch.decoded.ids.tolist() == batch.arguments["decoder_input_ids"].tolist()
    assert batch.decoded.special.int().tolist() == [[1, 1, 0, 0], [1, 1, 0, 0]]
    assert batch.decoded.real.int().tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]


def test_a_tokenizer_that_writes_the_start_of_the_decoder_has_nothing_moved():
    batch = Texts(["7 8", "5"], Words(), start=0).batch([0, 1])  # Words writes 0 first, as Whisper's does
    assert batch.arguments["decoder_input_ids"].tolist() == [[0, 7, 8, 1], [0, 5, 1, 0]]
    assert batch.decoded.special.int().tolist() == [[1, 0, 0, 1], [1, 0, 1, 0]]


def test_fingerprints_tell_texts_apart():
    prints = [
        Texts(["7 8", "5"], Words()).fingerprint,
        Texts(["5", "7 8"], Words()).fingerprint,
        Texts(["7 8", "5"], Words(), start=3).fingerprint,
    ]
    assert len(set(prints)) == 3


def test_a_text_without_a_token_is_named():
    class Bare(Words):
        def __call__(self, texts, **settings):
            encoded = super().__call__(texts, **settings)
            return {name: [row[1:-1] for row in rows] for name, rows in encoded.items()}

    with pytest.raises(ValueError, match=r"text 1 \(counted from 0\) has no token; leave empty texts out"):
        Texts(["7", "", "8"], Bare())
