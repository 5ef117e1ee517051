"""Point clouds for the tests of the front door, and what makes two measurements the same."""

import math

import pytest
import torch


def cloud(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def collapsed(n=2000, d=128):
    """One vector plus noise of a millionth: every cosine is 1, and the noise is isotropic."""
    return cloud(1, d) + 1e-6 * cloud(n, d, seed=1)


def close(found, expected, rel=1e-9):
    """Whether two numbers, or two Nones, are the same up to rounding."""
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=rel, abs_tol=1e-11)


def assert_same(found, expected, *, rest=True):
    """Compare two measurements; the rest is all but values, and differences of values have fewer digits."""
    assert found.names() == expected.names()
    assert (found.n, found.d, found.sampled) == (expected.n, expected.d, expected.sampled)
    assert found.findings == expected.findings
    assert found.notes == expected.notes
    for one, other in zip(found.values, expected.values, strict=True):
        assert close(one.value, other.value), (one, other)
        assert one.note == other.note
        if rest:
            ends = zip((one.low, one.high), (other.low, other.high), strict=True)
            assert all(close(*pair, rel=1e-6) for pair in ends), (one, other)
            assert close(one.isotropic, other.isotropic, rel=1e-6), (one, other)
            assert one.healthy == other.healthy


def undefined(found):
    return {measured.name for measured in found.values if measured.value is None}


def said(found):
    """Return the titles of the findings."""
    return [finding.title for finding in found.findings]


def approx(value):
    return pytest.approx(value, rel=1e-9, abs=1e-11)
