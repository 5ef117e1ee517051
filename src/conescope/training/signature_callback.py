"""Warns while training when a regularizer shows a failure signature, once for each."""

import logging
from typing import Any

from transformers import TrainerCallback

from conescope.training.signatures import Known, training_signatures

logger = logging.getLogger("conescope")


class SignatureCallback(TrainerCallback):
    """Logs each signature of `conescope.training.signatures` at the first log in which it shows.

    It reads the rows that the Trainer logged, so that a run that goes on from a checkpoint knows the rows
    before; a warning may then be repeated.
    """

    def __init__(self, known: Known) -> None:
        self.known = known
        self.told: set[str] = set()

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not state.is_world_process_zero:
            return
        history = [row for row in state.log_history if "regularizer" in row]
        evaluations = [
            {name.removeprefix("eval_"): value for name, value in row.items()}
            for row in state.log_history
            if "eval_loss" in row
        ]
        for kind, text in training_signatures(history, evaluations, self.known):
            if kind not in self.told:
                self.told.add(kind)
                logger.warning("step %d: %s", state.global_step, text)
