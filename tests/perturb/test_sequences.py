"""Sample sequences: the rules of the published sample, and its chances."""

import re
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from conescope.perturb import sample_sequences
from conescope.perturb.sequences import sequence_of

SENTENCE = "the cat number {} sat down"


def written(folder, *files):
    """Write files of lines, and return their paths."""
    paths = [folder / f"{number}.txt" for number in range(len(files))]
    for path, lines in zip(paths, files, strict=True):
        path.write_text("\n".join(lines), encoding="utf-8")
    return paths


@given(st.text(max_size=80))
def test_words_are_those_of_scikit_learn(text):
    words = CountVectorizer().build_tokenizer()(text)
    expected = " ".join(words) if 3 < len(words) < 50 else None
    assert sequence_of(text) == expected


@pytest.mark.parametrize(("words", "kept"), [(3, False), (4, True), (49, True), (50, False)])
def test_more_than_3_and_fewer_than_50_words(words, kept):
    text = " ".join(["ab", "c"] * words)  # words of one character do not count
    assert sequence_of(text) == (" ".join(["ab"] * words) if kept else None)


lines = st.lists(st.text(alphabet="ab c.\t", min_size=0, max_size=30), min_size=1, max_size=30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(files=st.lists(lines, min_size=1, max_size=3), seed=st.integers(0, 99), data=st.data())
def test_the_sample_obeys_the_rules(files, seed, data, tmp_path):
    files = [[*lines, "never an empty file"] for lines in files]  # one sequence at least
    paths = written(tmp_path, *files)
    there = {" ".join(re.findall(r"\w{2,}", line)) for lines in files for line in lines}
    there = {each for each in there if 3 < len(each.split()) < 50}
    count = data.draw(st.integers(1, len(there)))
    found = sample_sequences(paths, count, seed)
    assert len(set(found)) == len(found) == count
    assert set(found) <= there
    assert found == sample_sequences(paths, count, seed)
    assert found == sample_sequences(paths, len(there), seed)[:count]  # a longer sample goes on from it
    with pytest.raises(ValueError, match=f"hold {len(there)} different sentences .* and {len(there) + 1}"):
        sample_sequences(paths, len(there) + 1, seed)


def test_a_file_is_chosen_first_and_then_a_sentence(tmp_path):
    # Of two files of 1 and 9 sentences the single one comes first in half of the samples; one line of the
    # second in 1/18, or, where the last line is too short for a sequence, in 1/18 of 17/18.
    many = [SENTENCE.format(number) for number in range(10, 18)]
    paths = written(tmp_path, ["a single sentence stands here"], [*many, "too short"])
    firsts = Counter(sample_sequences(paths, 1, seed)[0] for seed in range(4000))
    total = 1 / 2 + 8 / 18
    expected = {"single sentence stands here": 1 / 2 / total} | dict.fromkeys(many, 1 / 18 / total)
    assert set(firsts) == set(expected)
    for sequence, chance in expected.items():
        deviation = (4000 * chance * (1 - chance)) ** 0.5
        assert abs(firsts[sequence] - 4000 * chance) < 4 * deviation


def test_the_order_is_that_of_draws_without_replacement(tmp_path):
    # Weights 1/2, 1/4, 1/4: given that the first is drawn first, both others are second equally often; given
    # that another is, the first is second with chance (1/2) / (3/4) = 2/3.
    paths = written(tmp_path, [SENTENCE.format(10)], [SENTENCE.format(11), SENTENCE.format(12)])
    orders = Counter(
        tuple(each.split()[3] for each in sample_sequences(paths, 2, seed)) for seed in range(4000)
    )
    expected = {
        ("10", "11"): 1 / 4,
        ("10", "12"): 1 / 4,
        ("11", "10"): 1 / 6,
        ("12", "10"): 1 / 6,
        ("11", "12"): 1 / 12,
        ("12", "11"): 1 / 12,
    }
    assert set(orders) == set(expected)
    for order, chance in expected.items():
        assert abs(orders[order] - 4000 * chance) < 4 * (4000 * chance * (1 - chance)) ** 0.5


def test_seeds_differ_and_one_path_is_enough(tmp_path):
    (path,) = written(tmp_path, [SENTENCE.format(number) for number in range(100, 160)])
    samples = [sample_sequences(path, 20, seed) for seed in range(5)]
    assert all(one != other for one, other in pairwise(samples))
    assert samples[0] == sample_sequences(str(path), 20, 0)


def test_what_can_not_be_is_said(tmp_path, without_shape_checks):
    good, empty = written(tmp_path, [SENTENCE.format(10)], ["", "  "])
    broken = tmp_path / "broken.txt"
    broken.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.txt"):
        sample_sequences([good, tmp_path / "none.txt"])
    with pytest.raises(ValueError, match="every line is empty"):
        sample_sequences([good, empty], 1)
    with pytest.raises(ValueError, match="not readable as UTF-8"):
        sample_sequences([broken], 1)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        sample_sequences(good, 0)
    with pytest.raises(ValueError, match="none is given"):
        sample_sequences([])
    with pytest.raises(ValueError, match="hold 1 different sentences of 4 to 49 words, and 5000 are wanted"):
        sample_sequences(good)
