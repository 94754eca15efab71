"""Names of parts that are loaded when they are asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

import cmpc_base
from cmpc_base.errors import BadArgument, UnknownName
from cmpc_base.registry import Registry

PARTS: Registry[type] = Registry("part", {"few": "cmpc_base.names:few", "gone": "nowhere:at_all"})


def test_a_part_is_loaded_by_its_name_and_the_others_are_not():
    from cmpc_base.names import few

    assert PARTS.load("few") is few
    assert list(PARTS) == ["few", "gone"]


def test_an_unknown_part_is_told_all_names_and_the_nearest():
    with pytest.raises(UnknownName, match=r"no part is called 'fw'; .*few, gone; .*mean 'few'"):
        PARTS.load("fw")


def test_a_name_that_is_taken_stays_taken():
    with pytest.raises(BadArgument, match="few is taken already"):
        PARTS.extended({"few": "another:one"})
    assert "new" in PARTS.extended({"new": "another:one"})


def test_what_is_below_all_needs_the_standard_library_alone():
    package = Path(cmpc_base.__file__).parent
    modules = [path.stem for path in package.glob("[!_]*.py")]
    script = "import sys; import " + ", ".join(f"cmpc_base.{name}" for name in modules)
    run = subprocess.run(
        [sys.executable, "-S", "-c", f"{script}; print(*sys.modules)"],  # no site: no packages
        env={"PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cmpc_base.locks" in run.stdout.split()
