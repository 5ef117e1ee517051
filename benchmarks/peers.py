"""Other packages that compute H0, run by a Python of their own, called by `benchmarks.persistence`.

    PYTHON peers.py

reads requests from standard input, one JSON object a line, {"peer": NAME, "file": POINTS, "calls": K}, and
answers each with {"seconds": OF EACH CALL, "total": SUM OF THE BARS, "bytes": MOST RESIDENT MEMORY BEYOND THE
POINTS}; the peer "versions" answers with what is installed. It imports nothing of conescope: packages under
other licenses stay out of its environment.
"""

import json
import resource
import sys
import time
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("torch", "torch_topological", "giotto-ph", "scikit-learn", "numpy", "scipy")


def torch_topological(points):
    """Forward and backward of the H0 diagram, or of a batch of them."""
    import torch
    from torch_topological.nn import VietorisRipsComplex

    cloud = torch.from_numpy(points).requires_grad_()
    found = VietorisRipsComplex(dim=0)(cloud)
    diagrams = [each[0] for each in found] if cloud.ndim == 3 else found
    total = sum(each.diagram[:, 1].sum() for each in diagrams)
    total.backward()
    return float(total)


def hdbscan(points):
    """scikit-learn's tree of all distances, without what HDBSCAN does after it; without a gradient."""
    from sklearn.cluster._hdbscan.hdbscan import _hdbscan_brute

    tree = _hdbscan_brute(
        points.astype("float64"), min_samples=1, alpha=1.0, metric="euclidean", n_jobs=None, copy=False
    )
    return float(tree["value"].sum())


def single_linkage(points):
    """SciPy's single linkage; without a gradient."""
    from scipy.cluster.hierarchy import linkage

    return float(linkage(points, "single")[:, 2].sum())


PEERS = {
    "torch_topological": torch_topological,
    "scikit-learn HDBSCAN": hdbscan,
    "scipy linkage": single_linkage,
}


def versions():
    """Return what is installed of the packages."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def resident():
    """Return the most bytes that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main():
    """Answer requests until the input ends."""
    import numpy as np
    import torch

    torch.set_num_threads(int(sys.argv[1]))
    for line in sys.stdin:
        request = json.loads(line)
        if request["peer"] == "versions":
            answer = versions()
        else:
            points, before = np.load(request["file"]), resident()
            seconds = []
            for _ in range(request["calls"]):
                begin = time.perf_counter()
                total = PEERS[request["peer"]](points)
                seconds.append(time.perf_counter() - begin)
            answer = {"seconds": seconds, "total": total, "bytes": resident() - before}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
