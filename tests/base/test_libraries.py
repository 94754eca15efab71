"""A library that is missing is named with the extra that brings it."""

import tomllib
from pathlib import Path

from cmpc_base.libraries import EXTRA_OF_LIBRARY, missing_library

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def test_every_extra_that_brings_a_library_is_there():
    assert set(EXTRA_OF_LIBRARY.values()) <= PROJECT["optional-dependencies"].keys()


def test_who_needs_it_and_how_to_get_it_is_said():
    assert str(missing_library("faiss", "an index of FAISS's")) == (
        "an index of FAISS's needs the library faiss, which is not installed; "
        "it comes with the extra `faiss`: pip install 'cmpc[faiss]'"
    )
