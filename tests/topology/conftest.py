import jaxtyping
import pytest


@pytest.fixture
def without_shape_checks():
    """What a user meets: the annotations are not checked, so a wrong shape reaches the door."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)
