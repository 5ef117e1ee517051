"""Three classifiers that are no pretrained encoders: an LSTM and a CNN on sentences, a ViT on digits."""

import re
from collections import Counter
from typing import NamedTuple

import torch
from experiments.ablation.tasks import bbc, few
from torch import Tensor, nn

VOCABULARY, LENGTH = 10_000, 40  # words that are known, words that are read of a sentence
PADDING, UNKNOWN = 0, 1
WIDTH = 128


class Examples(NamedTuple):
    """Inputs, of which the first axis counts examples, and class numbers."""

    inputs: Tensor
    labels: Tensor

    def take(self, rows: list[int] | Tensor) -> "Examples":
        """Return some of them."""
        return Examples(self.inputs[rows], self.labels[rows])


class Data(NamedTuple):
    """What is trained on, what is reported on, and the names of the classes."""

    train: Examples
    dev: Examples
    classes: tuple[str, ...]


def sentences(examples: int) -> Data:
    """Return sentences of BBC News as word numbers; the words are those of the training set."""
    task = bbc()
    train = few(task.train, examples)
    counts = Counter(word for text in train.texts for word in _words(text))
    number = {word: place for place, (word, _) in enumerate(counts.most_common(VOCABULARY), start=2)}

    def encoded(data) -> Examples:
        inputs = torch.full((len(data), LENGTH), PADDING)
        for row, text in enumerate(data.texts):
            known = [number.get(word, UNKNOWN) for word in _words(text)[:LENGTH]] or [UNKNOWN]
            inputs[row, : len(known)] = torch.tensor(known)
        return Examples(inputs, torch.tensor(data.labels))

    return Data(encoded(train), encoded(task.dev), task.classes)


def digits() -> Data:
    """Return the handwritten digits of scikit-learn, 8 x 8; every third is held out."""
    from sklearn.datasets import load_digits

    found = load_digits()
    every = Examples(
        torch.from_numpy(found.images).float()[:, None] / 16, torch.from_numpy(found.target).long()
    )
    held = torch.arange(len(every.labels)) % 3 == 0
    return Data(every.take(~held), every.take(held), tuple(str(digit) for digit in range(10)))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


class Classifier(nn.Module):
    """An encoder whose vectors are regularized, and a head on them."""

    def __init__(self, encoder: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(nn.Dropout(0.1), nn.Linear(width, classes))

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        points = self.encoder(inputs)
        return points, self.head(points)


class LSTM(nn.Module):
    """The mean of the states of a bidirectional LSTM over the words."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY + 2, WIDTH, padding_idx=PADDING)
        self.states = nn.LSTM(WIDTH, WIDTH, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.2)

    def forward(self, inputs: Tensor) -> Tensor:
        real = inputs != PADDING
        lengths = real.sum(dim=1)
        packed = nn.utils.rnn.pack_padded_sequence(
            self.dropout(self.words(inputs)), lengths, batch_first=True, enforce_sorted=False
        )
        states, _ = nn.utils.rnn.pad_packed_sequence(
            self.states(packed)[0], batch_first=True, total_length=inputs.shape[1]
        )
        return states.sum(dim=1) / lengths[:, None]  # padded states are zero


class CNN(nn.Module):
    """Largest responses of filters of three widths (Kim 2014)."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY + 2, WIDTH, padding_idx=PADDING)
        self.filters = nn.ModuleList(nn.Conv1d(WIDTH, 64, width, padding=width - 1) for width in (3, 4, 5))
        self.dropout = nn.Dropout(0.2)

    def forward(self, inputs: Tensor) -> Tensor:
        words = self.dropout(self.words(inputs)).mT
        return torch.cat([torch.relu(each(words)).amax(dim=2) for each in self.filters], dim=1)


class ViT(nn.Module):
    """The class token of four blocks over 16 patches."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import ViTConfig, ViTModel

        config = ViTConfig(
            hidden_size=64,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=128,
            image_size=8,
            patch_size=2,
            num_channels=1,
            hidden_dropout_prob=0.1,
        )
        self.model = ViTModel(config, add_pooling_layer=False)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.model(pixel_values=inputs).last_hidden_state[:, 0]


class Kind(NamedTuple):
    """How a model is made, its width, its data and its training."""

    encoder: type[nn.Module]
    width: int
    data: str
    epochs: int
    lr: float


KINDS = {
    "lstm": Kind(LSTM, 2 * WIDTH, "sentences", 10, 2e-3),
    "cnn": Kind(CNN, 192, "sentences", 10, 1e-3),
    "vit": Kind(ViT, 64, "digits", 30, 1e-3),
}
EXAMPLES = 4000  # sentences to train on


def data_of(kind: Kind) -> Data:
    """Return the data of a model."""
    return sentences(EXAMPLES) if kind.data == "sentences" else digits()
