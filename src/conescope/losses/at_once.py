"""Losses of one cloud that can be taken of many clouds of one size at once, without a loop over them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class AtOnce(nn.Module):
    """A loss that keeps nothing between calls, draws nothing and looks at no contents.

    `PerClass` then takes all classes of one size in one call.
    """

    def of_each(self, clouds: Float[Tensor, "clouds n d"]) -> Float[Tensor, " clouds"]:
        """Return the loss of each cloud."""
        values: Tensor = torch.vmap(self)(clouds)
        return values
