"""What passes through linear maps: their inputs, and the gradients that come back, by hooks.

The gradient is taken at the output of every run of a module, so that one which runs twice, or again for a
gradient checkpoint, meets its own input. Hooks are gone when the context ends, whatever ends it.
"""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from conescope.dynamics.sites import Site

SeeInputs = Callable[[int, Tensor], None]
SeeBoth = Callable[[int, "Passed"], None]


class Passed(NamedTuple):
    """Rows of one run of one linear map: inputs, gradients by outputs, and which rows are no padding."""

    inputs: Float[Tensor, "n d"]
    gradients: Float[Tensor, "n o"]
    real: Bool[Tensor, " n"] | None


class Passing:
    """Shows inputs (while `inputs` is true) and inputs with gradients (while `gradients` is) of some sites.

    `mask`, of shape (inputs, tokens), is true where a token is real. Without one, an `attention_mask` of that
    shape, given to the model by name, says so, but not for modules of a decoder beside an encoder.
    """

    def __init__(self, model: nn.Module, sites: Sequence[Site], see: SeeInputs, see_both: SeeBoth) -> None:
        self.model = model
        self.sites = tuple(sites)
        self.see = see
        self.see_both = see_both
        self.inputs = self.gradients = False
        self.mask: Tensor | None = None
        self._given_mask: Tensor | None = None
        self._two = bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))
        self._last: _Last | None = None
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> "Passing":
        self._handles.append(self.model.register_forward_pre_hook(self._begin, with_kwargs=True))
        for number, site in enumerate(self.sites):
            self._handles.append(site.module.register_forward_hook(self._hook(number), with_kwargs=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.forget()
        self.inputs = self.gradients = False  # graphs that outlive the context show nothing

    def forget(self) -> None:
        """Let go of the inputs that were seen last."""
        self._last = None

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        mask = kwargs.get("attention_mask")
        self._given_mask = mask > 0 if isinstance(mask, Tensor) and mask.ndim == 2 else None

    def _hook(self, number: int) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> None:
            if not (self.inputs or self.gradients) or not torch.is_grad_enabled() or not output.requires_grad:
                return  # an evaluation, or the first of the two runs of a gradient checkpoint
            given = (args[0] if args else next(iter(kwargs.values()))).detach()
            mask = self._mask(number, given)
            rows, real, shown = self._rows(given, output.dtype, mask)
            if self.inputs:
                with _Plain(rows):
                    self.see(number, shown)
            if self.gradients:

                def back(gradient: Tensor) -> None:
                    if self.gradients:
                        with _Plain(rows):
                            flat = gradient.detach().reshape(-1, gradient.shape[-1]).to(rows.dtype)
                            self.see_both(number, Passed(rows, flat, real))

                _ = output.register_hook(back)  # type: ignore[no-untyped-call]

        return hook

    def _rows(
        self, given: Tensor, dtype: torch.dtype, mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Return inputs as rows, as autocast narrowed them, which are no padding, and only those.

        Modules that are given one tensor after another, as query, key and value are, get the same objects.
        """
        marks = (given.data_ptr(), given.shape, given.stride(), given._version, dtype)
        last = self._last
        if last is None or last.marks != marks or last.mask is not mask:
            rows = given.reshape(-1, given.shape[-1]).to(dtype)
            real = None if mask is None else mask.reshape(-1).to(given.device)
            last = self._last = _Last(marks, given, mask, rows, real, rows if real is None else rows[real])
        return last.rows, last.real, last.shown

    def _mask(self, number: int, given: Tensor) -> Tensor | None:
        mask = self._given_mask if self.mask is None else self.mask
        if mask is None or mask.shape != given.shape[:-1]:
            return None
        if self._two and "decoder" in self.sites[number].name:
            return None
        return mask


class _Last(NamedTuple):
    """The inputs that passed last; `given` keeps their memory from being used again."""

    marks: tuple[Any, ...]
    given: Tensor
    mask: Tensor | None
    rows: Tensor
    real: Tensor | None
    shown: Tensor


class _Plain:
    """No gradient, and products in the type of their factors, inside autocast too."""

    def __init__(self, tensor: Tensor) -> None:
        self.autocast = torch.autocast(tensor.device.type, enabled=False)
        self.no_grad = torch.no_grad()

    def __enter__(self) -> None:
        self.no_grad.__enter__()
        self.autocast.__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        self.autocast.__exit__(*error)
        self.no_grad.__exit__(*error)
