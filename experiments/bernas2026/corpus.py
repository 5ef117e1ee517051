"""Texts -> batches: WikiText-2 in sequences for language models, CoLA in sentences for a classifier."""

import csv
from pathlib import Path

import torch

SPECIALS = ("<pad>", "<mask>", "<end>")
PAD, MASK, END = range(3)
MASKED = 0.15
IGNORED = -100  # the label of a position that has no loss


def wikitext(folder: Path):
    """Return the lines to train on and those held out: train.txt if it is there, test.txt if not."""
    file = next(path for name in ("train", "test") if (path := folder / f"{name}.txt").exists())
    return file.name, *(_lines(path) for path in (file, folder / "valid.txt"))


def _lines(path):
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def cola(folder: Path, part):
    """Return the sentences of a part, and their labels."""
    with (folder / f"{part}.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row["sentence"] for row in rows], [int(row["label"]) for row in rows]


def byte_level(lines, size):
    """Return a byte-level BPE tokenizer of so many types, trained on lines."""
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer(add_prefix_space=True)
    tokenizer.train_from_iterator(
        lines, vocab_size=size, min_frequency=2, special_tokens=list(SPECIALS), show_progress=False
    )
    return tokenizer


def token_numbers(tokenizer, lines):
    """Return the tokens of all lines, one after the other, each line with its end."""
    return torch.tensor([n for found in tokenizer.encode_batch(lines) for n in (*found.ids, END)])


def sequences(tokens, length):
    """Return the tokens in rows of a length, without the rest."""
    rows = len(tokens) // length
    return tokens[: rows * length].reshape(rows, length)


def masked(rows, types, generator):
    """Return inputs and labels of masked language modeling.

    Of 15 % of the tokens, 80 % become the mask, 10 % a random token and 10 % stay, as BERT does it.
    """
    chosen = torch.rand(rows.shape, generator=generator) < MASKED
    lot = torch.rand(rows.shape, generator=generator)
    other = torch.randint(len(SPECIALS), types, rows.shape, generator=generator)
    inputs = torch.where(chosen & (lot < 0.8), torch.full_like(rows, MASK), rows)
    inputs = torch.where(chosen & (lot >= 0.9), other, inputs)
    return inputs, torch.where(chosen, rows, torch.full_like(rows, IGNORED))


def order(rows, count, seed):
    """Return `count` row numbers: every row once before any comes again."""
    generator = torch.Generator().manual_seed(seed)
    rounds = [torch.randperm(rows, generator=generator) for _ in range(-(-count // rows))]
    return torch.cat(rounds)[:count]
