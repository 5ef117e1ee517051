"""All fixes by the name that files and the command line give them."""

from conescope.transforms.all_but_the_top import AllButTheTop
from conescope.transforms.centering import Centering
from conescope.transforms.cluster_all_but_the_top import ClusterAllButTheTop
from conescope.transforms.fix import Fix
from conescope.transforms.standardizing import Standardizing
from conescope.transforms.stored import Where, read
from conescope.transforms.whitening import Whitening

KINDS: dict[str, type[Fix]] = {
    fix.kind_name: fix for fix in (Centering, Standardizing, Whitening, AllButTheTop, ClusterAllButTheTop)
}


def load_fix(path: Where) -> Fix:
    """Return the fix in a file, of whatever kind.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no fix, or one of a kind that is not known here.
    """
    stored = read(path)
    if stored.kind not in KINDS:
        raise ValueError(f"{path} holds a fix of kind {stored.kind!r}; known are {', '.join(KINDS)}")
    return KINDS[stored.kind]._restored(stored, path)
