"""The made-up project as fixtures; `made_up_project` is a module so that programs can share it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from made_up_project import make_gallery, make_project


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """Pictures and their gallery."""
    made = make_project(tmp_path_factory.mktemp("project"))
    make_gallery(made)
    return made
