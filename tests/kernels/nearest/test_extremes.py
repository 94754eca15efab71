"""The exact answer where inputs mislead, over every path, against NumPy's long double."""

import os
import runpy
import subprocess
import sys

import numpy as np
import pytest

from cmpc_kernels import GalleryIndex, topk
from cmpc_kernels.compiled.intrinsics import IS_X86

every_path = pytest.mark.parametrize("path", ["index", "topk"])
ADVERSARIAL = runpy.run_path(os.path.join(os.path.dirname(__file__), "adversarial.py"))


def ids_by(path, queries, rows):
    if path == "index":
        return GalleryIndex.build(rows, "l2").search(queries, 1).ids
    return topk(queries, rows, 1, "l2").ids


@every_path
@pytest.mark.parametrize("num_queries", [1, 90])  # of these topk makes codes on the way
def test_a_row_whose_half_square_float32_cannot_hold_does_not_hide_a_nearer_one(path, num_queries):
    rows = np.array([[3.2e19], [-5e18]], np.float32)
    queries = np.full((num_queries, 1), 1e19, np.float32)

    assert (ids_by(path, queries, rows) == 1).all()


@pytest.mark.parametrize("num_cases", [200, pytest.param(20_000, marks=pytest.mark.slow)])
def test_inputs_that_are_made_to_mislead_get_the_true_answer_on_every_path(num_cases):
    counts, wrong = ADVERSARIAL["run"](num_cases)

    assert not wrong
    assert set(counts) == {
        *("topk", "codes", "index", "changed_index", "shards", "changed_shards"),
        *("masks", "queries"),
    }
    assert min(counts.values()) > num_cases // 30


@pytest.mark.slow
@pytest.mark.skipif(not IS_X86, reason="an x86 processor runs older ones' code")
def test_code_for_a_processor_with_avx2_alone_gives_the_true_answers_too():
    here = os.path.dirname(__file__)
    files = [os.path.join(here, name) for name in ("test_extremes.py", "test_scanning.py")]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *files],
        env=os.environ | {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma,+f16c"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
