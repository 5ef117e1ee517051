"""Sample sequences: sentences of text files, drawn as those of which the published measures were taken.

Again and again a file is chosen, each with the same chance, and then one of its sentences. A sentence is kept
as its words of two characters or more, joined by spaces, if there are more than 3 and fewer than 50 of them
and it was not kept before; else both choices are made anew.

Reference: Marbut, Chandler, Wheeler (2024), arXiv:2406.12159, who drew 5000 from the three parts of the Penn
Treebank and of WikiText-2. They did not fix a seed, so that the sample itself can not be drawn again.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

WORD = re.compile(r"\b\w\w+\b")  # what the count vectorizer of scikit-learn takes for a word
FEWEST, MOST = 4, 49  # words


def sample_sequences(files: str | Path | Sequence[str | Path], count: int = 5000, seed: int = 0) -> list[str]:
    """Return `count` different sequences of 4 to 49 words, in the order in which they are drawn.

    A sentence is a line of a file that is not empty; split paragraphs before. Case is kept, and punctuation
    falls away. The draws until enough are kept are not made one by one: what the choices above come to is
    sampling without replacement by weights, which needs one exponential number a sequence.

    Args:
        files: of text in UTF-8. A line that is no sequence counts, too: in a file with many of them each of
            the others has a smaller chance.
        count: of sequences.
        seed: of the draw.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if no file is given, one has no sentence or is not UTF-8, `count` is less than 1, or there
            are fewer different sequences than that.
    """
    paths = [Path(files)] if isinstance(files, str | Path) else [Path(file) for file in files]
    if not paths:
        raise ValueError("sequences are drawn from files of text, but none is given; name one at least")
    if count < 1:
        raise ValueError(f"count is a number of sequences and at least 1, got {count}")
    chances: dict[str, float] = {}
    for path in paths:
        sentences = _sentences(path)
        for sentence in sentences:
            if (sequence := sequence_of(sentence)) is not None:
                chances[sequence] = chances.get(sequence, 0.0) + 1 / len(sentences)
    if len(chances) < count:
        raise ValueError(
            f"the {len(paths)} files hold {len(chances)} different sentences of {FEWEST} to {MOST} words, "
            f"and {count} are wanted; give more files or ask for fewer"
        )
    waits = np.random.default_rng(seed).exponential(size=len(chances)) / np.array(list(chances.values()))
    sequences = list(chances)
    return [sequences[place] for place in np.argsort(waits, kind="stable")[:count]]


def sequence_of(sentence: str) -> str | None:
    """Return the words of a sentence of two characters or more, joined; None unless there are 4 to 49.

    >>> sequence_of("I can't see a cat, or two dogs!")
    'can see cat or two dogs'
    """
    words = WORD.findall(sentence)
    return " ".join(words) if FEWEST <= len(words) <= MOST else None


def _sentences(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as problem:
        raise ValueError(f"{path}: not readable as UTF-8: {problem}") from problem
    found = [line for line in lines if line.strip()]
    if not found:
        raise ValueError(f"{path}: every line is empty; a sentence a line is expected")
    return found
