"""The state of a regularizer in the checkpoints of a Trainer: a resumed run goes on as if never stopped.

The file `regularizer.safetensors` has the tensors of `loss.state_dict()`, and JSON of what else is in it as
metadata; nothing is pickled. With several ranks each has its own, `regularizer_0.safetensors` and so on, as a
memory may differ between them.
"""

import json
import warnings
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from conescope._files import whole_file
from conescope.losses.wrapper import Loss
from conescope.training.mean_loss import MeanLossTrainer

OTHER = "other"  # the metadata that hold what is no tensor


class StatefulTrainer(MeanLossTrainer):
    """Saves and restores the state of `regularizer` wherever the Trainer does so with the optimizer's.

    So it is in every checkpoint from which training can be resumed, before that is announced as whole or
    pushed, and `save_only_model` leaves it out. Loading the best model at the end does not touch it.
    """

    regularizer: Loss

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        save_state(self.regularizer, self._state_file(output_dir))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            load_state(self.regularizer, self._state_file(checkpoint))

    def _state_file(self, folder: str) -> Path:
        rank = f"_{self.args.process_index}" if self.args.world_size > 1 else ""
        return Path(folder) / f"regularizer{rank}.safetensors"


def save_state(loss: Loss, file: Path) -> None:
    """Write the state of a loss, whole or not at all; no file for a loss without state.

    Raises:
        ValueError: for a state that is neither a tensor nor what JSON gives back as it was.
    """
    state = _state(loss)
    if not state:
        return
    # copies: safetensors refuses tensors that share memory
    tensors = {
        name: value.detach().cpu().clone().contiguous()
        for name, value in state.items()
        if isinstance(value, Tensor)
    }
    other = {name: value for name, value in state.items() if name not in tensors}
    for name, value in other.items():
        if not _survives_json(value):
            raise ValueError(
                f"the state of a regularizer must be of tensors, or of what JSON keeps as it is, but "
                f"{name} is {value!r:.80}; return other values from get_extra_state"
            )
    with whole_file(file) as path:
        save_file(tensors, path, metadata={OTHER: json.dumps(other)})


def load_state(loss: Loss, file: Path) -> None:
    """Give a loss the state in a file. Without the file, one with state warns and keeps what it has.

    Raises:
        ValueError: if the state in the file is that of another loss.
    """
    wanted = _state(loss)
    if not wanted:
        return
    if not file.is_file():
        warnings.warn(
            f"{file} is missing, so the regularizer goes on with the state that it has now, not with that of "
            "the checkpoint",
            stacklevel=2,
        )
        return
    with safe_open(file, framework="pt") as stored:
        found = json.loads((stored.metadata() or {}).get(OTHER, "{}"))
        found |= {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  it is no mapping
    if found.keys() != wanted.keys():
        raise ValueError(
            f"{file} must hold the state {sorted(wanted)} of this regularizer, but holds {sorted(found)}; "
            "resume with the loss that the run began with"
        )
    assert isinstance(loss, nn.Module)  # or it would have no state
    try:
        loss.load_state_dict(found)
    except RuntimeError as mismatch:
        raise ValueError(
            f"{file} must hold the state of this regularizer, but does not fit it; resume with the loss that "
            f"the run began with ({' '.join(str(mismatch).split())})"
        ) from mismatch


def _state(loss: Loss) -> dict[str, Any]:
    return dict(loss.state_dict()) if isinstance(loss, nn.Module) else {}


def _survives_json(value: Any) -> bool:
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError):
        return False
