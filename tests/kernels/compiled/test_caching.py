"""Machine code on disk, as a user meets it: updates, old code, and installs that nobody may write.

Each test works on a copy of the package, in processes of their own.
"""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cmpc_kernels
from cmpc_kernels.compiled.caching import SOURCES

PACKAGE = Path(cmpc_kernels.__file__).parent
# ``scores`` calls what ``lane_sums`` defines.
CALL = """
import numpy as np
from cmpc_kernels.compiled.scores import fill_unit_rows
unit = np.empty((1, 2), np.float32)
fill_unit_rows(np.array([[3, 4]], np.float32), unit)
print(unit[0].tolist())
"""
SWITCHES = {"NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT", "XDG_CACHE_HOME"}


@pytest.fixture
def package(tmp_path):
    copy = tmp_path / "site" / "cmpc_kernels"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def answer(package, **variables):
    """Return what a new process prints that imports this copy."""
    paths = [str(package.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    kept = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    run = subprocess.run(
        [sys.executable, "-c", CALL],
        env=kept | {"PYTHONPATH": os.pathsep.join(paths)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_after_an_update_of_one_file_what_calls_it_is_compiled_anew_and_old_code_goes(package):
    cache = package / "compiled" / "__pycache__"
    assert answer(package) == "[0.6000000238418579, 0.800000011920929]"
    (before,) = cache.glob("cmpc-*")
    (cache / "heaps.offer-108.py311.nbi").touch()  # as versions before left them
    callee = package / "compiled" / "lane_sums.py"
    # Of lengths it makes sums of absolute values, so to say: sqrt((3 + 3) + (4 + 4)).
    code = callee.read_text().replace("builder.fmul(first, second)", "builder.fadd(first, second)")
    callee.write_text(code)

    assert answer(package).startswith("[0.80178")

    (after,) = cache.glob("cmpc-*")
    assert after != before
    assert not list(cache.glob("*.nbi"))


def test_code_that_was_compiled_is_used_again(package):
    answer(package)
    (folder,) = (package / "compiled" / "__pycache__").glob("cmpc-*")
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}

    answer(package)

    assert any(name.startswith("scores.fill_unit_rows") for name in before)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_where_nothing_may_be_written_each_process_compiles_for_itself(package):
    (package / "compiled" / "__pycache__").touch()  # holds for an administrator, too
    nowhere = {"HOME": os.devnull, "XDG_CACHE_HOME": f"{os.devnull}/cache"}

    assert answer(package, **nowhere) == "[0.6000000238418579, 0.800000011920929]"


def test_the_sources_are_all_that_compiled_code_is_made_of():
    modules = {path.stem for path in SOURCES}
    for path in SOURCES:
        if path.parent.name != "compiled":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("cmpc_kernels"):
                assert node.module.rsplit(".", 1)[-1] in modules
