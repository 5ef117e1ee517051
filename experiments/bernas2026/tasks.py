"""The four trainings: what each learns from, in which steps, and how it is validated."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from experiments.bernas2026 import models
from experiments.bernas2026.corpus import byte_level, cola, masked, order, sequences, token_numbers, wikitext

NAMES = ("decoder", "encoder", "minilm", "smollm2")
COLA_TOKENS = 64  # of the longest sentence that is not cut
HELD_OUT = 64  # sequences of the validation
FEW = 100  # lines or sentences of a quick run


class Size(NamedTuple):
    """Of a model with random weights."""

    hidden: int = 256
    layers: int = 6
    heads: int = 4
    types: int = 8192


class Plan(NamedTuple):
    """Of a training. The fit takes 30 % of the steps, a multiple of `every`.

    With random weights the rank is the instrument's own, at most an eighth of the width of a map. In models
    that were trained before it is an eighth of the hidden width, for the wide map of a block too.
    """

    steps: int
    every: int
    batch: int
    length: int
    rate: float
    rank: int | Literal["auto"] = "auto"


PLANS = {
    "decoder": Plan(180, 8, 32, 128, 1e-3),
    "encoder": Plan(180, 8, 32, 128, 1e-3),
    "minilm": Plan(120, 4, 32, COLA_TOKENS, 1e-4, 48),
    "smollm2": Plan(48, 3, 8, 64, 5e-5, 72),
}
QUICK = Size(hidden=16, layers=3, heads=2, types=300), Plan(16, 4, 4, 16, 1e-3)


@dataclass
class Task:
    """A training, up to its seed."""

    name: str
    plan: Plan
    model: Callable[[], Any]
    batch: Callable[[int, int], dict[str, torch.Tensor]]  # of a seed and a step
    validate: Callable[[Any], dict[str, float]]
    probe: dict[str, torch.Tensor]  # held out, whose hidden states are recorded
    corpus: dict[str, Any]  # what is said about it
    frequency: tuple[torch.Tensor, torch.Tensor] | None = None  # held-out sequences, counts by type


def task_of(name, *, texts, sentences, root, quick):
    """Return a task from the folders of WikiText-2, CoLA and the models that were trained before."""
    size, plan = QUICK if quick else (Size(), PLANS[name])
    if name == "minilm":
        return _classifier(plan, texts, sentences, root, size if quick else None)
    file, lines, held_out = wikitext(texts)
    if quick:
        lines, held_out = lines[:FEW], held_out[:FEW]
    if name == "smollm2" and not quick:
        tokenizer = models.tokenizer_of(name, root)
        end = tokenizer.eos_token_id

        def read(some):
            return torch.tensor([n for found in tokenizer(some)["input_ids"] for n in (*found, end)])

        types = len(tokenizer)
    else:
        trained = byte_level(lines, size.types)
        types = trained.get_vocab_size()

        def read(some):
            return token_numbers(trained, some)

    rows, held = (sequences(read(some), plan.length) for some in (lines, held_out))
    made = {"decoder": models.decoder, "encoder": models.encoder}

    def model():
        if name == "smollm2" and not quick:
            return models.smollm2(root)
        return made.get(name, models.decoder)(types, size, plan.length)

    counts = torch.bincount(rows.flatten(), minlength=types)
    return Task(
        name=name,
        plan=plan,
        model=model,
        batch=lambda seed, step: _language_batch(name, rows, types, plan, seed, step),
        validate=lambda trained: _perplexity(trained, name, held[:HELD_OUT], types, plan),
        probe={"input_ids": held[: 2048 // plan.length]},
        corpus={"trained on": f"WikiText-2 {file}", "tokens": rows.numel(), "types": types},
        frequency=(held[: 65536 // plan.length], counts) if name in made else None,
    )


def _language_batch(name, rows, types, plan, seed, step):
    numbers = order(len(rows), plan.steps * plan.batch, seed)[step * plan.batch :][: plan.batch]
    if name != "encoder":
        return {"input_ids": rows[numbers], "labels": rows[numbers]}
    generator = torch.Generator().manual_seed(1_000_003 * (seed + 1) + step)
    inputs, labels = masked(rows[numbers], types, generator)
    return {"input_ids": inputs, "labels": labels}


def _perplexity(model, name, held, types, plan):
    """Return the loss a token (of the masked ones, for the encoder) and its exponential."""
    total, tokens = 0.0, 0
    generator = torch.Generator().manual_seed(0)
    for rows in held.split(plan.batch):
        inputs, labels = masked(rows, types, generator) if name == "encoder" else (rows, rows)
        count = int((labels >= 0).sum()) if name == "encoder" else rows[:, 1:].numel()
        total += float(model(input_ids=inputs, labels=labels).loss) * count
        tokens += count
    return {"loss": total / tokens, "perplexity": math.exp(total / tokens), "tokens": tokens}


def _classifier(plan, texts, sentences, root, size):
    from transformers import BertForSequenceClassification

    train, labels = cola(sentences, "train")
    held_out, held_labels = cola(sentences, "dev")
    if size:  # a quick run does without the files of a model
        held_out, held_labels = held_out[:FEW], held_labels[:FEW]
        trained = byte_level(wikitext(texts)[1][:FEW], size.types)
        trained.enable_padding(pad_id=0, pad_token="<pad>")
        trained.enable_truncation(plan.length)

        def read(some):
            found = trained.encode_batch(some)
            kinds = {"input_ids": "ids", "attention_mask": "attention_mask"}
            return {name: torch.tensor([getattr(one, kind) for one in found]) for name, kind in kinds.items()}

        def model():
            kind, types = BertForSequenceClassification, trained.get_vocab_size()
            return models.bert(kind, types, size, plan.length, num_labels=2)
    else:
        tokenizer = models.tokenizer_of("minilm", root)

        def read(some):
            options = {"padding": True, "truncation": True, "max_length": plan.length}
            return dict(tokenizer(some, return_tensors="pt", **options))

        def model():
            return models.minilm(root)

    def batch(seed, step):
        numbers = order(len(train), plan.steps * plan.batch, seed)[step * plan.batch :][: plan.batch]
        answers = torch.tensor([labels[n] for n in numbers])
        return {**read([train[n] for n in numbers]), "labels": answers}

    def validate(trained_model):
        found = torch.cat(
            [
                trained_model(**read(held_out[n : n + plan.batch])).logits.argmax(dim=1)
                for n in range(0, len(held_out), plan.batch)
            ]
        )
        truth = torch.tensor(held_labels)
        return {
            "accuracy": float((found == truth).double().mean()),
            "mcc": _matthews(found, truth),
            "sentences": len(truth),
        }

    return Task(
        name="minilm",
        plan=plan,
        model=model,
        batch=batch,
        validate=validate,
        probe=read(held_out[:128]),
        corpus={"trained on": "CoLA train", "sentences": min(plan.steps * plan.batch, len(train))},
    )


def _matthews(found, truth):
    both = torch.stack([found.double(), truth.double()])
    covariance = torch.cov(both)
    size = float(covariance[0, 0] * covariance[1, 1])
    return float(covariance[0, 1]) / math.sqrt(size) if size else 0.0
