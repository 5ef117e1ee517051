"""A Trainer for task losses that are means over a micro-batch: accumulation then means what it says.

Recent Trainers take a model whose forward accepts keyword arguments to normalize its loss over the
accumulated batch. Sequence classifiers accept them and do not, so with k micro-batches a step their
gradient comes out k times too large. Trainers before 4.48 never divided such a loss
(huggingface/transformers#35207). Here the loss of each micro-batch is divided by k exactly once, in
every version, unless a `compute_loss_func` says that it does the scaling itself.
"""

from typing import Any

import torch
import transformers
from packaging.version import Version
from transformers import Trainer

VERSION = Version(transformers.__version__).release
TRAINER_DIVIDES = VERSION >= (4, 48)
COUNTS_ITEMS = VERSION > (4, 48, 0)  # for a compute_loss_func; one that gets no count has its loss divided
LOG_IS_DIVIDED = (4, 46, 2) <= VERSION < (4, 48)  # of a loss whose items were not counted


class MeanLossTrainer(Trainer):
    """Divides the loss of each micro-batch by the number of micro-batches of the step, exactly once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.window: list[dict[str, Any]] = []  # the micro-batches of this step
        if self.compute_loss_func is None:
            self.model_accepts_loss_kwargs = False

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        batches, items = super().get_batch_samples(*args, **kwargs)
        self.window = batches
        return batches, items

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Any,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        if model.training:
            loss = loss / self.own_divisor()
        return (loss, outputs) if return_outputs else loss

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the loss for the log; some Trainers that forget to divide the loss divide what they log."""
        logged = super().training_step(*args, **kwargs)
        items = args[2] if len(args) > 2 else kwargs.get("num_items_in_batch")
        if LOG_IS_DIVIDED and items is None and self.compute_loss_func is None:
            logged = logged * self.args.gradient_accumulation_steps
        return logged

    def own_divisor(self) -> int:
        """Return what this class divides by: the micro-batches of the step where the Trainer forgets to."""
        return max(len(self.window), 1) if not TRAINER_DIVIDES and self.compute_loss_func is None else 1

    def trainer_divisor(self) -> float:
        """Return what the Trainer will divide the loss of this micro-batch by."""
        scaled = getattr(self, "loss_is_scaled_for_ga", None)  # transformers 5
        if scaled is None:
            counted = COUNTS_ITEMS or self.model_accepts_loss_kwargs
            scaled = not TRAINER_DIVIDES or (self.compute_loss_func is not None and counted)
        steps = getattr(self, "current_gradient_accumulation_steps", self.args.gradient_accumulation_steps)
        return 1.0 if scaled else float(steps)
