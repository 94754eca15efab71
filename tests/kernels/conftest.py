"""What the tests of the retrieval core share."""

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(20210619)


@pytest.fixture(autouse=True)
def _uncompiled_kernels_may_overflow():
    """With NUMBA_DISABLE_JIT=1 NumPy warns where compiled code computes NaN and inf in silence."""
    with np.errstate(all="ignore"):
        yield
