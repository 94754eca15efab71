"""What holds for all tests."""

import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from cmpc_base.cache_users import leave_users

# How long an example takes says something of the machine and of what compiles, and nothing of us.
settings.register_profile("cmpc", deadline=None)
settings.load_profile("cmpc")


@pytest.fixture(autouse=True)
def leave_caches() -> Iterator[None]:
    """A process uses one cache, tests hundreds; each keeps a file open."""
    yield
    leave_users()


@pytest.fixture(autouse=True)
def leave_processors() -> Iterator[None]:
    """Where a process computes is set once; a test that sets it must not set it for the others.

    Torch is not loaded for this.
    """
    before = _computing()
    yield
    if _computing() != before:
        compute = sys.modules["cmpc_search.training.compute"]
        compute.set_up_torch_as(before or compute.CPU)


def _computing() -> object:
    compute = sys.modules.get("cmpc_search.training.compute")
    return compute and compute.here()
