"""IsoScore as the paper's algorithm reads (Rudman et al. 2022, algorithm 1), in float64 NumPy."""

import numpy as np


def isoscore(points: np.ndarray) -> float:
    d = points.shape[1]
    variances = np.linalg.eigvalsh(np.cov(points.T))  # steps 1-3: PCA, then the diagonal of the covariance
    variances = np.sqrt(d) * variances / np.linalg.norm(variances)  # step 4: normalize
    defect = np.linalg.norm(variances - 1) / np.sqrt(2 * (d - np.sqrt(d)))  # step 5: distance to isotropy
    used = (d - defect**2 * (d - np.sqrt(d))) ** 2 / d**2  # step 6: fraction of dimensions used
    return float((d * used - 1) / (d - 1))  # step 7: rescale to [0, 1]
