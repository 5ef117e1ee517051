"""`ClusterAllButTheTop` behind the pooling of a model of sentence-transformers."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from conescope.transforms.cluster_all_but_the_top import ClusterAllButTheTop, mapped

FILE = "fix.safetensors"


class ClusterFixModule(torch.nn.Module):
    """Map `features["sentence_embedding"]`, in its own type; float32 at least inside."""

    def __init__(self, fix: ClusterAllButTheTop) -> None:
        super().__init__()
        self.fix = fix
        for name in list(fix.arrays)[:3]:
            self.register_buffer(name, torch.from_numpy(getattr(fix, name)).float(), persistent=False)

    def forward(self, features: dict[str, Tensor | Any], **kwargs: Any) -> dict[str, Tensor | Any]:
        rows = features["sentence_embedding"]
        arrays = [getattr(self, name).float() for name in list(self.fix.arrays)[:3]]
        return {**features, "sentence_embedding": mapped(rows.float(), *arrays).to(rows.dtype)}

    def get_sentence_embedding_dimension(self) -> int:
        return int(self.fix.n_features_in_)

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        """Write the fix into the folder of the module."""
        self.fix.save(Path(output_path) / FILE)

    @staticmethod
    def load(input_path: str) -> "ClusterFixModule":
        """Return the module in a folder; sentence-transformers fetches the folder of a model on the hub."""
        return ClusterFixModule(ClusterAllButTheTop.load(Path(input_path) / FILE))
