"""Models whose hidden states are known, and small models of transformers with random weights."""

import torch
from torch import nn


class Plus(nn.Module):
    """A block that adds a constant to every token."""

    def __init__(self, constant):
        super().__init__()
        self.constant = nn.Parameter(torch.as_tensor(constant))

    def forward(self, states):
        return (states + self.constant,)


class Made(nn.Module):
    """Embeds token numbers by a table, and runs them through its blocks."""

    def __init__(self, table, blocks):
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(table)
        self.layer = nn.ModuleList(blocks)
        self.asked = []  # the shape of each forward pass

    def forward(self, input_ids, attention_mask=None):
        self.asked.append(tuple(input_ids.shape))
        states = self.embedding(input_ids)
        for block in self.layer:
            (states,) = block(states)
        return states


class Words:
    """A tokenizer: a word is a number, and each text stands between 0 and 1."""

    pad_token_id = 0
    model_max_length = 10**30

    def __call__(self, texts, truncation, max_length, **wanted):
        ids = [[0, *map(int, text.split()), 1] for text in texts]
        if truncation:
            ids = [[*row[: max_length - 1], 1] if len(row) > max_length else row for row in ids]
        special = [[1] + [0] * (len(row) - 2) + [1] for row in ids]
        return {"input_ids": ids, "special_tokens_mask": special}


def texts(count, words=20, seed=0):
    """Return texts of 1 to 9 words, which are numbers from 2 on."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 10, (count,), generator=generator)
    return [
        " ".join(str(int(word)) for word in torch.randint(2, words, (int(length),), generator=generator))
        for length in lengths
    ]
