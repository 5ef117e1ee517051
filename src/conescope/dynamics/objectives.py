"""What a language model is trained for: a model with the right head, rows of tokens, and how they batch."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

from conescope._optional import require

Objective = Literal["classify", "causal", "masked"]
OBJECTIVES: tuple[str, ...] = get_args(Objective)
NO_TEXT = 2  # tokens, below which a causal model has nothing to predict
POSITIONS = ("position_embeddings", "wpe", "embed_positions")  # tables of learned positions


class Task(NamedTuple):
    """A model, and what a Trainer gives it; `plain` batches rows without labels, and without a draw."""

    objective: Objective
    model: Any
    rows: list[dict[str, Any]]
    collate: Callable[[list[dict[str, Any]]], Any]
    plain: Callable[[list[dict[str, Any]]], Any]


def task_of(
    model: str,
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    labels: Sequence[str] | None,
    objective: Objective | None,
    *,
    max_length: int,
    from_scratch: bool,
) -> Task:
    """Return the task of some texts for a model by its folder or hub name.

    With labels it is to classify. Without, it is what the model was made for: masked tokens or the next one,
    as its configuration names its class, or else masked tokens for a tokenizer that has a mask. New weights
    are drawn from torch's generator; weights of less than float32 are widened.

    Raises:
        ValueError: for no such model or one without the head, labels that do not go with the objective, or
            no text that has tokens to predict, or one that is longer than the model.
        ImportError: if transformers is missing.
    """
    transformers = require("transformers", extra="hf")
    _check(objective, labels)
    try:
        config = transformers.AutoConfig.from_pretrained(model)
        tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    except (OSError, ValueError, KeyError) as problem:
        raise ValueError(
            f"no model {model!r}: neither a folder with a transformers model and its tokenizer nor one that "
            f"the hub has ({_first_line(problem)})"
        ) from problem
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    chosen: Objective = "classify" if labels is not None else objective or made_for(config, tokenizer)
    if chosen == "masked" and tokenizer.mask_token is None:
        raise ValueError(f"the tokenizer of {model!r} has no mask token; train it with the causal objective")
    encoded = tokenizer(
        list(texts), None if pairs is None else list(pairs), truncation=True, max_length=max_length
    )
    rows = [{name: encoded[name][row] for name in encoded} for row in range(len(texts))]
    padding = transformers.DataCollatorWithPadding(tokenizer)
    if labels is not None:
        classes = {name: number for number, name in enumerate(sorted(set(labels)))}
        config.num_labels = len(classes)
        config.id2label = {number: name for name, number in classes.items()}
        config.label2id = classes
        rows = [row | {"labels": classes[label]} for row, label in zip(rows, labels, strict=True)]
        collate = padding
    else:
        rows = [row for row in rows if len(row["input_ids"]) >= NO_TEXT]
        collate = transformers.DataCollatorForLanguageModeling(tokenizer, mlm=chosen == "masked")
    if not rows:
        raise ValueError(f"none of {len(texts)} texts has {NO_TEXT} tokens or more, so nothing is predicted")
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id

    def plain(batch: list[dict[str, Any]]) -> Any:
        return padding([{name: row[name] for name in row if name != "labels"} for row in batch])

    loaded = _loaded(model, config, chosen, from_scratch)
    longest, most = max(len(row["input_ids"]) for row in rows), _positions(loaded)
    if most is not None and longest > most:
        raise ValueError(
            f"a text has {longest} tokens, and {model!r} has {most} positions; take a max_length <= {most}"
        )
    return Task(chosen, loaded, rows, collate, plain)


def _check(objective: str | None, labels: Sequence[str] | None) -> None:
    if objective is not None and objective not in OBJECTIVES:
        raise ValueError(f"the objective must be one of {', '.join(OBJECTIVES)}, got {objective!r}")
    if objective == "classify" and labels is None:
        raise ValueError("to classify, texts need labels; name their column, or train on plain texts")
    if labels is not None and objective not in (None, "classify"):
        raise ValueError(f"labels go with classify, and the objective is {objective}; leave one of them out")


def made_for(config: Any, tokenizer: Any) -> Objective:
    """Return the objective of a language model: as its class is named, or by its tokenizer."""
    named = " ".join(getattr(config, "architectures", None) or ())
    if "MaskedLM" in named or "PreTraining" in named:
        return "masked"
    if "CausalLM" in named or "LMHead" in named:
        return "causal"
    return "masked" if tokenizer.mask_token is not None else "causal"


def _loaded(model: str, config: Any, objective: Objective, from_scratch: bool) -> Any:
    import transformers

    kind: Any = {
        "classify": transformers.AutoModelForSequenceClassification,
        "causal": transformers.AutoModelForCausalLM,
        "masked": transformers.AutoModelForMaskedLM,
    }[objective]
    try:
        if from_scratch:
            return kind.from_config(config).float()
        return kind.from_pretrained(model, config=config, ignore_mismatched_sizes=True).float()
    except (OSError, ValueError, KeyError) as problem:
        raise ValueError(
            f"{model!r} does not load to be trained ({objective}): {_first_line(problem)}"
        ) from problem


def _positions(model: Any) -> int | None:
    """Return how many tokens learned positions allow; None without a table of them."""
    named = [part for name, part in model.named_modules() if name.rpartition(".")[2] in POSITIONS]
    tables = [(part, part.padding_idx) for part in named if hasattr(part, "padding_idx")]
    sizes = [
        len(table.weight) - getattr(table, "offset", 0) - (0 if empty is None else empty + 1)
        for table, empty in tables  # RoBERTa leaves those up to its padding empty
    ]
    return min(sizes, default=None)


def _first_line(problem: BaseException) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]
