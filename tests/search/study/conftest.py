"""The toy study as fixtures; `toy_study` is a module so that a killed program can import it too."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from toy_study import ToySpace, toy_score


@pytest.fixture
def space():
    return ToySpace()


@pytest.fixture
def score():
    return toy_score
