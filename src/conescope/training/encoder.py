"""The pretrained model of a recipe: loading it, tokens for it, embeddings from it."""

from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedTokenizerBase,
)

from conescope._devices import chosen_device
from conescope.capture import LayerCapture, layers_needed, pool
from conescope.training.recipe import Recipe
from conescope.training.tables import LabelledTexts


def load_tokenizer(recipe: Recipe) -> PreTrainedTokenizerBase:
    """Return the tokenizer of the model, with a padding token if the model came without one."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(recipe.model)
    except (OSError, ValueError, KeyError) as problem:
        raise ValueError(
            f"no model {recipe.model!r}: neither a folder with a transformers model nor one that the hub has "
            f"({_first_line(problem)})"
        ) from problem
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, classes: tuple[str, ...]) -> Any:
    """Return the pretrained model with a new classification head for these classes."""
    try:
        model = AutoModelForSequenceClassification.from_pretrained(
            recipe.model,
            num_labels=len(classes),
            id2label=dict(enumerate(classes)),
            label2id={name: number for number, name in enumerate(classes)},
            ignore_mismatched_sizes=True,
        )
    except (OSError, ValueError, KeyError) as problem:
        raise ValueError(
            f"{recipe.model!r} does not load as a classifier: {_first_line(problem)}"
        ) from problem
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    return model


def encode(data: LabelledTexts, tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[dict[str, Any]]:
    """Return one dictionary of token numbers and label for each example, not padded yet."""
    pairs = list(data.pairs) if data.pairs is not None else None
    encoded = tokenizer(list(data.texts), pairs, truncation=True, max_length=max_length)
    return [
        {name: encoded[name][row] for name in encoded} | {"labels": label}
        for row, label in enumerate(data.labels)
    ]


def embed(
    model: Any, data: list[dict[str, Any]], tokenizer: PreTrainedTokenizerBase, recipe: Recipe
) -> Tensor:
    """Return the pooled float32 embeddings (n, d) of the data, at the layer of the regularizer."""
    return outputs(model, data, tokenizer, recipe)[1]


@torch.no_grad()
def outputs(
    model: Any, data: list[dict[str, Any]], tokenizer: PreTrainedTokenizerBase, recipe: Recipe
) -> tuple[Tensor, Tensor]:
    """Return the logits (n, classes) and the embeddings as `embed`, float32, of one pass in evaluation mode.

    Examples of about equal length share a batch, so that little is computed for padding.
    """
    device = chosen_device(recipe.device)
    model = model.to(device).eval()
    collate = DataCollatorWithPadding(tokenizer, pad_to_multiple_of=8)
    order = by_length(data)
    logits, points = [], []
    with LayerCapture(model, layers_needed(recipe.pooling, recipe.layer)) as capture:
        for start in range(0, len(data), recipe.batch_size):
            batch = collate([dict(data[row]) for row in order[start : start + recipe.batch_size]])
            inputs = {name: tensor.to(device) for name, tensor in batch.items() if name != "labels"}
            capture.arm()
            logits.append(model(**inputs).logits.float().cpu())
            points.append(pool(capture.take(), inputs.get("attention_mask"), recipe.pooling).float().cpu())
    back = torch.tensor(order).argsort()
    return torch.cat(logits)[back], torch.cat(points)[back]


def by_length(data: list[dict[str, Any]]) -> list[int]:
    """Return the rows of encoded examples in the order of their length, equal ones as they came."""
    return sorted(range(len(data)), key=lambda row: len(data[row]["input_ids"]))


def _first_line(problem: BaseException) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]
