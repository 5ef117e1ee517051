"""Losses of one cloud that can be taken of many clouds of one size at once, without a loop over them."""

from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn


class AtOnce(nn.Module):
    """A loss that keeps nothing between calls, draws nothing and looks at no contents.

    `PerClass` then takes all classes of one size in one call. A subclass of such a loss with a `forward` of
    its own has not promised this, and is taken class by class.
    """

    at_once: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.at_once = AtOnce in cls.__bases__ or (cls.at_once and "forward" not in vars(cls))

    def of_each(self, clouds: Float[Tensor, "clouds n d"]) -> Float[Tensor, " clouds"]:
        """Return the loss of each cloud, which come in full precision, outside of any autocast."""
        raise NotImplementedError(f"{type(self).__name__} takes one cloud at a time")
