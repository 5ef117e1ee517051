"""Small transformers models with random weights, and a tokenizer, made on the spot: no hub is needed."""

from pathlib import Path

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizerFast,
    GPT2Config,
    GPT2ForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    set_seed,
)

WORDS = ["the", "a", "one", "two", "cat", "dog", "bird", "tree", "runs"]
WORDS += ["sleeps", "sings", "grows", "red", "blue", "fast", "slow", "not", "very"]


def bert(dropout: float = 0.0, layers: int = 3, dtype: torch.dtype = torch.float32):
    set_seed(0)
    config = BertConfig(
        vocab_size=5 + len(WORDS),
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        num_labels=2,
    )
    return BertForSequenceClassification(config).to(dtype)


def gpt2():
    set_seed(0)
    config = GPT2Config(vocab_size=30, n_embd=16, n_layer=3, n_head=2, n_positions=32, pad_token_id=0)
    return GPT2ForSequenceClassification(config)


def llama():
    set_seed(0)
    config = LlamaConfig(
        vocab_size=30,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=2,
        pad_token_id=0,
    )
    return LlamaForSequenceClassification(config)


def save_bert(folder: Path, dropout: float = 0.1) -> Path:
    """Write a small BERT with its tokenizer, as `from_pretrained` reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    tokenizer = BertTokenizerFast(str(vocabulary))
    tokenizer.save_pretrained(folder)
    bert(dropout).base_model.save_pretrained(folder)
    return folder


def sentences(count: int, seed: int) -> list[tuple[str, str]]:
    """Return (sentence, class): the class is whether the sentence holds the word "not"."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for row in range(count):
        length = int(torch.randint(4, 9, (1,), generator=generator))
        chosen = [WORDS[int(i)] for i in torch.randint(0, 16, (length,), generator=generator)]
        found.append((" ".join(["not", *chosen] if row % 2 else chosen), "no" if row % 2 else "yes"))
    return found


def write_tsv(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    return path


def token_rows(count: int, length: int = 12) -> list[dict[str, object]]:
    """Return encoded examples of equal length with alternating labels."""
    generator = torch.Generator().manual_seed(0)
    return [
        {
            "input_ids": torch.randint(5, 5 + len(WORDS), (length,), generator=generator),
            "attention_mask": torch.ones(length, dtype=torch.long),
            "labels": row % 2,
        }
        for row in range(count)
    ]
