"""Distinct rows: which points are copies of one another?

`torch.unique` along rows compares them number by number, which takes seconds for some thousand points in
many dimensions. Here the first columns put the rows in order, and only neighbors in that order are
compared.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conescope._types import Points

LEADING = 4  # columns that nearly always tell rows apart


def distinct_rows(rows: Points) -> tuple[Float[Tensor, "distinct d"], Int64[Tensor, " n"]]:
    """Return the distinct rows in lexicographic order, and for each row the number of its equal among them.

    0 and -0 are equal. Rows that agree in the leading columns only are left to `torch.unique`.

    >>> import torch
    >>> distinct_rows(torch.tensor([[2.0, 1.0], [0.0, 3.0], [2.0, 1.0]]))[1]
    tensor([1, 0, 1])
    """
    rows = rows + 0.0  # turns -0 into 0
    if len(rows) < 2:
        return rows, torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
    order = torch.arange(len(rows), device=rows.device)
    for column in rows.T[:LEADING].flip(0):
        order = order[column[order].argsort(stable=True)]
    placed = rows[order]
    differs = (placed[1:] != placed[:-1]).any(dim=1)
    alike = (placed[1:, :LEADING] == placed[:-1, :LEADING]).all(dim=1)
    if bool((alike & differs).any()):
        found, number = torch.unique(rows, dim=0, return_inverse=True)
        return found, number
    starts = torch.cat([differs.new_ones(1), differs])
    number = torch.empty_like(order)
    number[order] = starts.cumsum(0) - 1
    return placed[starts], number
