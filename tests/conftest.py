"""What holds for all tests."""

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
