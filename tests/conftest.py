import os

os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks a hub, or waits for one that does not answer

import jaxtyping
import pytest


@pytest.fixture(autouse=True, scope="session")
def without_numba():
    """What most users have: small clouds by torch and NumPy. Tests of compiled loops compare."""
    from conescope.topology import compiled  # not before its shapes can be checked

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "compiled", lambda *loop: None)
        yield


@pytest.fixture
def without_shape_checks():
    """What a user meets: the annotations are not checked, so a wrong shape reaches the door."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)
