"""A task on which perturbed models are fine-tuned, and the fixed budget that each of them gets."""

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from conescope.training.recipe import Recipe
from conescope.training.tables import LabelledTexts, read_labelled

COLUMNS = ("text", "pair", "label")
GRAMMAR = "NAME=TRAIN,DEV or NAME=TRAIN,DEV,text=COLUMN,pair=COLUMN,label=COLUMN"


@dataclass(frozen=True)
class Task:
    """Examples to train on, held-out ones to be scored on, and the names of the classes."""

    name: str
    train: LabelledTexts
    dev: LabelledTexts
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.-]*", self.name):
            raise ValueError(f"a task's name has letters, digits, '.', '-' and '_', got {self.name!r}")


@dataclass(frozen=True)
class Budget:
    """What every fine-tuning gets: the same examples, as often, at the same learning rate.

    `examples` are drawn once, with seed 0, from those to train on; None takes all. `precision` is fp32, bf16,
    fp16, or auto for what the processor is fast at.
    """

    examples: int | None = None
    epochs: float = 3.0
    lr: float = 1e-4
    batch_size: int = 32
    max_length: int = 128
    precision: str = "auto"

    def __post_init__(self) -> None:
        if self.examples is not None and self.examples < 2:
            raise ValueError(f"examples to train on must be at least 2, got {self.examples}")
        self.recipe("", "cpu")  # refuses what it can not use before anything is measured

    def recipe(self, model: str, device: str) -> Recipe:
        """Return how a model is fine-tuned."""
        return Recipe(
            model=model,
            epochs=self.epochs,
            lr=self.lr,
            batch_size=self.batch_size,
            max_length=self.max_length,
            precision=self.precision,
            device=device,
        )

    def steps(self, examples: int) -> int:
        """Return the number of steps with so many examples."""
        return math.ceil(self.epochs * -(-examples // self.batch_size))

    def applied(self, task: Task) -> Task:
        """Return the task with as many examples to train on as the budget allows."""
        if self.examples is None or self.examples >= len(task.train):
            return task
        rows = np.sort(np.random.default_rng(0).permutation(len(task.train))[: self.examples]).tolist()
        texts, pairs, labels = task.train.texts, task.train.pairs, task.train.labels
        kept = LabelledTexts(
            tuple(texts[row] for row in rows),
            None if pairs is None else tuple(pairs[row] for row in rows),
            tuple(labels[row] for row in rows),
        )
        if len(set(kept.labels)) < 2:
            raise ValueError(
                f"{task.name}: the {self.examples} examples drawn are all of one class; allow more examples"
            )
        return replace(task, train=kept)


def fingerprint(task: Task, budget: Budget) -> str:
    """Return a hash of the examples and of how a model is fine-tuned on them."""
    data = [[each.texts, each.pairs, each.labels] for each in (task.train, task.dev)]
    text = json.dumps([data, task.classes, asdict(budget)])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def read_task(
    name: str,
    train: str | Path,
    dev: str | Path,
    *,
    text: str = "text",
    pair: str | None = None,
    label: str = "label",
) -> Task:
    """Return a task from two tables (TSV, CSV, JSON lines or Parquet) with the same columns.

    Args:
        name: of the task, as it names files.
        train: table of the examples to train on.
        dev: table of those that are scored.
        text: column of the text.
        pair: column of the second text, for tasks on pairs.
        label: column of the class.

    Raises:
        FileNotFoundError, ValueError: for files, columns or classes that can not be used, by name.
    """
    train_data, dev_data, classes = read_labelled(train, dev, text=text, text_pair=pair, label=label)
    return Task(name, train_data, dev_data, classes)


def parse_task(words: str) -> Task:
    """Return the task that a text such as "cola=train.tsv,dev.tsv,text=sentence" names.

    Raises:
        FileNotFoundError, ValueError: for a text of another form, and as `read_task` does.
    """
    name, equals, rest = words.partition("=")
    train, *more = rest.split(",")
    if not (name and equals and train and more and more[0]):
        raise ValueError(f"a task is {GRAMMAR}; got {words!r}")
    columns = {}
    for word in more[1:]:
        key, _, column = word.partition("=")
        if key.strip() not in COLUMNS or not column:
            raise ValueError(f"columns of a task are {', '.join(COLUMNS)}, as in {GRAMMAR}; got {word!r}")
        columns[key.strip()] = column
    return read_task(name, train, more[0], **columns)
