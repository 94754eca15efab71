"""The toy study as fixtures."""

import pytest

from cmpc_search.testing.toy_study import ToySpace, toy_score


@pytest.fixture
def space():
    return ToySpace()


@pytest.fixture
def score():
    return toy_score
