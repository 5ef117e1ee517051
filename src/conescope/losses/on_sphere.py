"""Any loss of the directions of the points: their lengths do not count.

    loss(x_1 / ||x_1||, ..., x_n / ||x_n||)

The gradient at a point is orthogonal to it and grows as 1 / ||x_i||.
"""

from conescope._types import Labels, Points, Scalar
from conescope.losses.directions import unit_vectors
from conescope.losses.prepared import full_precision
from conescope.losses.wrapper import Loss, Wrapper, check_single_cloud, observed_by


class OnSphere(Wrapper):
    """A loss of the points scaled to length 1; a zero vector stays zero, with gradient 0.

    `conescope.losses.directions.unit_vectors` says which vectors count as zero. The points are scaled in
    float32, or float64 for float64 points. `observed` is that of the loss inside.

    Args:
        loss: a loss of one point cloud.
    """

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss)
        check_single_cloud(loss, "OnSphere")

    def forward(self, points: Points, labels: Labels | None = None) -> Scalar:
        with full_precision(points) as rows:
            value = self.inner(unit_vectors(rows)[0], labels)
        self.observed = observed_by(self.loss)
        return value
