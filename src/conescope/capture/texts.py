"""Texts as inputs of a model: tokenized once, padded by batch."""

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from conescope.capture.batch import Batch, Tokens

UNPADDABLE = ("canine",)  # strided convolutions over characters mix padding into what stands beside it


class Texts:
    """Texts tokenized for a model; a `Prepared`.

    Padding stands on the right, whatever the tokenizer does when it generates. An encoder-decoder reads each
    text on both sides: its decoder is given the text moved by one place, unless the tokenizer writes the
    decoder's first token itself.

    Args:
        texts: at least one.
        tokenizer: of transformers.
        max_length: tokens that are kept of a text; None for as many as the model takes.
        start: the token before the first one of a decoder, for an encoder-decoder.
        padded: whether texts of different lengths may stand in one batch.

    Raises:
        ValueError: naming a text that has no token.
    """

    modality = "text"

    def __init__(
        self,
        texts: Sequence[str],
        tokenizer: Any,
        *,
        max_length: int | None = None,
        start: int | None = None,
        padded: bool = True,
    ) -> None:
        self.padded = padded
        self.start = start
        self.padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        limit = max_length or (tokenizer.model_max_length if tokenizer.model_max_length < 1 << 20 else None)
        encoded = tokenizer(
            list(texts),
            truncation=limit is not None,
            max_length=limit,
            return_special_tokens_mask=True,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        self.ids: list[list[int]] = encoded["input_ids"]
        self.special: list[list[int]] = encoded["special_tokens_mask"]
        self.sizes = [len(ids) for ids in self.ids]
        if 0 in self.sizes:
            raise ValueError(
                f"text {self.sizes.index(0)} (counted from 0) has no token; leave empty texts out"
            )

        self.fingerprint = hashlib.blake2b(repr((self.ids, start)).encode(), digest_size=16).hexdigest()

    def batch(self, numbers: Sequence[int]) -> Batch:
        """Return these texts as one batch on the CPU."""
        ids = _padded([self.ids[number] for number in numbers], self.padding)
        special = _padded([self.special[number] for number in numbers], 1).bool()
        lengths = torch.tensor([self.sizes[number] for number in numbers])
        real = torch.arange(ids.shape[1])[None] < lengths[:, None]
        arguments = {"input_ids": ids, "attention_mask": real.long()}
        tokens = Tokens(real, special & real, ids)
        if self.start is None:
            return Batch(arguments, len(numbers), tokens)
        moved = [self._moved(number) for number in numbers]
        decoder_ids = _padded([ids for ids, _ in moved], self.padding)
        starts = _padded([special for _, special in moved], 1).bool()
        arguments |= {"decoder_input_ids": decoder_ids, "decoder_attention_mask": real.long()}
        return Batch(arguments, len(numbers), tokens, Tokens(real, starts & real, decoder_ids))

    def _moved(self, number: int) -> tuple[list[int], list[int]]:
        """Return what a decoder reads of a text, and which of it is special."""
        ids, special = self.ids[number], self.special[number]
        if self.start is None or ids[0] == self.start:
            return ids, special
        return [self.start, *ids[:-1]], [1, *special[:-1]]


def _padded(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows])
