"""Names for the tensors that cross module borders. Shapes are checked in the tests, not at run time."""

from typing import TypeAlias

from jaxtyping import Bool, Float, Int64
from torch import Tensor

Points: TypeAlias = Float[Tensor, "n d"]
Clouds: TypeAlias = Float[Tensor, "*batch n d"]  # one point cloud, or several of the same size
Edges: TypeAlias = Int64[Tensor, "*batch bars 2"]  # rows (u, v) with u < v
Lengths: TypeAlias = Float[Tensor, "*batch bars"]  # of the finite bars of each cloud
Barcode: TypeAlias = Float[Tensor, "*batch rows 2"]  # rows (birth, death); death is inf for the essential bar
Mask: TypeAlias = Bool[Tensor, "*batch bars"]
Labels: TypeAlias = Int64[Tensor, " n"]
Covariance: TypeAlias = Float[Tensor, "d d"]
Spectrum: TypeAlias = Float[Tensor, " k"]  # singular values or eigenvalues, largest first
Scalar: TypeAlias = Float[Tensor, ""]
