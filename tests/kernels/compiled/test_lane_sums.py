"""One order of summation, bit for bit: in plain Python, in NumPy, and on every processor."""

import json
import os
import re
import subprocess
import sys

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import binding
from numba import config

from cmpc_kernels import reference
from cmpc_kernels.compiled import heaps, intrinsics, scores
from cmpc_kernels.metrics import METRIC_NUMBERS
from cmpc_kernels.nearest.codes import plain_rows

exact_score = numba.njit(lambda *arguments: heaps.exact_score(*arguments))
needs_compiled = pytest.mark.skipif(config.DISABLE_JIT, reason="there is nothing compiled")
needs_avx512 = pytest.mark.skipif(
    not binding.get_host_cpu_features().get("avx512vnni"), reason="this processor has no AVX-512"
)
# Older ones, whose code this processor runs as well.
CPUS = {
    "SSE2": ("x86-64", ""),
    "AVX2": ("haswell", "+avx2,+fma,+f16c"),
    "AVX-512": ("znver4", "+avx512f,+avx512bw,+avx512dq,+avx512vl,+avx512vnni,+avx2,+fma,+f16c"),
}


def awkward_rows(rng, shape):
    """Return float32 rows whose sums depend on their order, some of them copies in another."""
    rows = rng.standard_normal(shape) * 10.0 ** rng.uniform(-18, 18, (shape[0], 1))
    rows[shape[0] // 2 :] = rng.permuted(rows[: shape[0] - shape[0] // 2], axis=1)
    return rows.astype(np.float32)


@given(st.lists(st.floats(allow_nan=False), max_size=40))
def test_the_order_is_that_of_eight_lanes_that_are_added_by_halves(terms):
    lanes = [0.0] * 8
    for n, term in enumerate(terms):
        lanes[n % 8] += term
    a, b, c, d, e, f, g, h = lanes
    expected = ((a + e) + (c + g)) + ((b + f) + (d + h))

    with np.errstate(all="ignore"):
        found = reference.sum_in_lanes(np.array(terms, np.float64))

    np.testing.assert_array_equal(found, expected)  # NaN where infinities meet


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@settings(max_examples=80, derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), dimension=st.integers(1, 140))
def test_a_compiled_score_is_its_definition_in_every_bit(dtype, seed, dimension):
    rng = np.random.default_rng(seed)
    queries = awkward_rows(rng, (2, dimension))
    rows = np.clip(awkward_rows(rng, (4, dimension)), -60_000, 60_000).astype(dtype)
    kernel_rows = plain_rows(rows)

    for metric, number in METRIC_NUMBERS.items():
        expected = reference.score_matrix(queries, rows, metric)
        for (q, g), score in np.ndenumerate(expected):
            assert exact_score(queries, q, kernel_rows, g, number) == score


@pytest.mark.parametrize("dimension", [1, 7, 8, 31, 64])
def test_a_tile_of_cosines_is_its_definition_in_every_bit(dimension, rng):
    queries, items = awkward_rows(rng, (5, dimension)), awkward_rows(rng, (11, dimension))
    found = np.empty((5, 11), np.float32)

    scores.fill_scores(queries, items, 0, 11, found)

    expected = reference.sum_in_lanes(queries[:, np.newaxis] * items)
    np.testing.assert_array_equal(found, np.where(np.isnan(expected), -np.inf, expected))


def test_a_length_is_its_definition_in_every_bit(rng):
    rows, found = awkward_rows(rng, (40, 77)), np.empty((40, 77), np.float32)

    scores.fill_unit_rows(rows, found)

    square_N = reference.sum_in_lanes(np.square(rows.astype(np.float64)))
    expected = (rows / np.sqrt(square_N)[:, np.newaxis]).astype(np.float32)
    np.testing.assert_array_equal(found, expected)


ANSWERS = """
import json
import numpy as np
from cmpc_kernels import GalleryIndex, retrieval_scores, topk

rng = np.random.default_rng(7)
row = rng.standard_normal(97).astype(np.float32)
permuted = np.stack([rng.permutation(row) for _ in range(2000)])
near = np.repeat(row[np.newaxis], 300, 0)
near[np.arange(300), rng.integers(0, 97, 300)] *= np.float32(1 + 2**-23)  # one unit apart
half = rng.standard_normal((300, 97)).astype(np.float16)
answers = []
for rows in (permuted, near, half):
    for num_queries in (1, 90):
        # Permutations of a row are all as near to a constant, on paper.
        queries = np.full((num_queries, 97), 0.1, np.float32)
        queries[1:] = rows[1:num_queries]
        for metric in ("cosine", "ip", "l2"):
            index = GalleryIndex.build(rows, metric=metric)
            kept = index.search_unrounded(queries, 40, allow=None, num_threads=1)
            coarse = [
                GalleryIndex.build(rows, metric=metric, mode="codes", storage=storage)
                .search_unrounded(queries, 40, allow=None, num_threads=1)
                for storage in ("int8", "binary")
            ]
            for found in (kept, topk(queries, rows, 40, metric, in_float64=True), *coarse):
                answers.append([found.ids.tolist(), found.scores.tobytes().hex()])
labels = rng.integers(0, 9, 300)
answers.append(retrieval_scores(near[:50], near, labels[:50], labels).mean_average_precision)
print(json.dumps(answers))
"""


def answers_on(cpu):
    """Return what a process says whose code is compiled for a processor; None is this one."""
    name, features = CPUS.get(cpu, ("", ""))
    settings = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features} if name else {}
    run = subprocess.run(
        [sys.executable, "-c", ANSWERS],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)


@needs_compiled
@pytest.mark.slow
@pytest.mark.skipif(not intrinsics.IS_X86, reason="an x86 processor runs older ones' code")
@pytest.mark.parametrize("cpu", ["SSE2", "AVX2", pytest.param("AVX-512", marks=needs_avx512)])
def test_every_processor_gives_the_same_ids_and_scores_in_every_bit(cpu):
    assert answers_on(cpu) == answers_on(None)


def compiled_elsewhere(triple, cpu):
    """Return the assembly of an exact score of float32 rows for another processor."""
    kind = numba.types.Array(numba.float32, 2, "C")
    bare = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)
    score = bare(lambda query, q, row, g, metric: heaps.exact_score(query, q, row, g, metric))
    score.compile((kind, numba.int64, kind, numba.int64, numba.int64))
    code = re.sub(r"(?m)^target .*$", "", score.inspect_llvm(score.signatures[0]))
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    machine = binding.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=3)
    return machine.emit_assembly(binding.parse_assembly(code))


@needs_compiled
@pytest.mark.parametrize(
    ("triple", "cpu", "product", "fused"),
    [
        (
            "aarch64-unknown-linux-gnu",
            "neoverse-n1",
            r"fmul\tv\d+\.2d",
            r"\tfn?ml[as]|\tfn?m(add|sub)",
        ),
        ("x86_64-unknown-linux-gnu", "haswell", r"vmulpd\t.*ymm", r"\tvfn?m(add|sub)"),
        ("x86_64-unknown-linux-gnu", "znver4", r"vmulpd\t.*zmm", r"\tvfn?m(add|sub)"),
        ("x86_64-unknown-linux-gnu", "x86-64", r"mulpd\t.*xmm", r"\tvfn?m(add|sub)"),
    ],
)
def test_lanes_are_lanes_of_registers_and_nothing_is_fused(triple, cpu, product, fused):
    assembly = compiled_elsewhere(triple, cpu)

    assert re.search(product, assembly)
    assert not re.search(fused, assembly)
