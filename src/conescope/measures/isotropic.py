"""What n points of an isotropic Gaussian in d dimensions give: the yardstick beside each value.

Most measures depend on n and d even when nothing is wrong: 300 points in 768 dimensions can not have
an IsoScore of 1, nor can their largest direction hold 1/768 of the spread. With m = n - 1, since
centering takes one point away:

    IsoScore          (m - 1) / (m + d + 1), from the moments of the Wishart distribution
    anisotropy_1      E sigma_1^2 / (m d), with the mean of the Tracy-Widom law for the largest
                      eigenvalue (Johnstone 2001)
    effective rank    from the Marchenko-Pastur law of the singular values
    mean cosine       0, and -1 / m after centering

Good to 1 or 2 % from about ten points in ten dimensions on; rough below.
"""

import math

import numpy as np

TRACY_WIDOM_MEAN = -1.20653
MANY_DIMENSIONS = 10  # from here on H0 bars of a Gaussian are equal to about 1 % in entropy


def isoscore(n: int, d: int) -> float | None:
    """Return the IsoScore to expect."""
    return None if n < 2 or d < 2 else (n - 2) / (n + d)


def anisotropy_1(n: int, d: int) -> float | None:
    """Return the centered anisotropy_1 to expect; with n + 1 for n, the uncentered one."""
    m = n - 1
    if m < 1:
        return None
    if min(m, d) == 1:
        return 1.0
    rows, columns = math.sqrt(m - 1), math.sqrt(d)
    spread: float = (rows + columns) * (1 / rows + 1 / columns) ** (1 / 3)
    share = ((rows + columns) ** 2 + TRACY_WIDOM_MEAN * spread) / (m * d)
    return min(max(share, 1 / min(m, d)), 1.0)


def effective_rank(n: int, d: int) -> float | None:
    """Return the centered effective rank to expect."""
    m = n - 1
    if m < 1:
        return None
    # On the circle, eigenvalue = |1 + sqrt(q) e^{i angle}|^2 turns the Marchenko-Pastur law into
    # 2 / pi sin^2(angle) / eigenvalue, which the midpoint rule integrates without trouble at its edges.
    count, q = min(m, d), min(m, d) / max(m, d)
    angle = (np.arange(512) + 0.5) * np.pi / 512
    eigenvalue = 1 + q + 2 * math.sqrt(q) * np.cos(angle)
    weight = 2 / 512 * np.sin(angle) ** 2 / np.sqrt(eigenvalue)  # of sigma = sqrt(eigenvalue)
    mean = float(weight.sum())
    mean_log = float((weight * np.log(eigenvalue)).sum()) / 2
    return max(count * mean * math.exp(-mean_log / mean), 1.0)


def centered_mean_cosine(n: int, d: int) -> float | None:
    """Return the centered mean cosine to expect."""
    return None if n < 2 else -1 / (n - 1)


def persistent_entropy(n: int, d: int) -> float | None:
    """Return the H0 entropy to expect, where dimensions are many; no formula is known to us for few."""
    return None if n < 2 or d < MANY_DIMENSIONS else math.log(n - 1)


def relative_persistent_entropy(n: int, d: int) -> float | None:
    """Return the relative H0 entropy to expect, where dimensions are many."""
    return None if n < 3 or d < MANY_DIMENSIONS else 1.0
