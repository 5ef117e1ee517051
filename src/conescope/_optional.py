"""Optional packages are imported where they are used, and missed with the line that installs them."""

from importlib import import_module
from types import ModuleType


def require(package: str, *, extra: str) -> ModuleType:
    """Return the imported package, or raise an ImportError that names the extra which brings it."""
    try:
        return import_module(package)
    except ModuleNotFoundError as missing:
        if missing.name != package.partition(".")[0]:
            raise
        raise ImportError(
            f"this needs the package {missing.name}: pip install 'conescope[{extra}]'"
        ) from missing
