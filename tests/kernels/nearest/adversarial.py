"""Try exact search on inputs made to mislead it, over every path, against NumPy's long double.

    python adversarial.py NUM_CASES [SEED]

A case is one gallery, one batch of queries and one path; its seed says all of it. Every answer
must be that of the definition (``cmpc_kernels.reference``) in every bit, ties by the lower id, and
that of long double up to what float64 rounds off. Prints a JSON object for each 500 cases: how many
there were of each path, and the seeds of those that went wrong.
"""

import json
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np

from cmpc_kernels import GalleryIndex, IndexSettings, ShardedIndex, open_index, reference, topk
from cmpc_kernels.compiled.code_tiles import BATCH_QUERIES
from cmpc_kernels.compiled.intrinsics import dot_instruction
from cmpc_kernels.gallery import shard_search
from cmpc_kernels.nearest import scan_arguments, scanning, similarity, threads
from cmpc_kernels.nearest.codes import encode_binary, encode_int8
from cmpc_kernels.nearest.scanning import search_exact

METRICS = ["cosine", "ip", "l2"]
LARGEST = np.finfo(np.float32).max
LARGEST_HALF = np.finfo(np.float16).max
MAX_PRODUCTS = 300_000  # of a query's value and a row's, in one case
CASES_TOLD = 500

# Powers of ten of the rows' lengths; half squares leave float32 from 2.6e19 on.
LENGTHS = {
    "usual": (0, 0),
    "half squares that just fit": (18.5, 19.8),
    "huge": (18, 38),
    "tiny": (-45, -20),
    "any": (-45, 37),
}

LENGTHS_OF_HALVES = -8, 5

# At which sizes a search goes another way, which small cases would never reach.
TURNS = [
    (threads, "MIN_THREAD_BYTES", 1),  # threads for everything
    (scanning, "CACHED_BYTES", 0),  # that divide the rows, and not the queries
    (scan_arguments, "MOST_CANDIDATES", 1),  # a tile of queries at a time
    (similarity, "CHUNK_VALUES", 64),  # few scattered rows at a time
    (similarity, "MIN_CODED_QUERIES", BATCH_QUERIES // 2 + 1),  # codes made on the way
    (shard_search, "MIN_SHARDS_OF_A_THREAD", 1),
]


def scattered(rng, rows):
    return rows * 10.0 ** rng.uniform(-40, 37, rows.shape)


def near_ties(rng, rows):
    """One row, of whose numbers some go to the next float32."""
    base = np.repeat(rows[:1].astype(np.float32), len(rows), axis=0)
    toward = rng.choice([-np.inf, np.inf], rows.shape).astype(np.float32)
    return np.where(rng.random(rows.shape) < 0.2, np.nextafter(base, toward), base)


def copies(rng, rows):
    return rows[rng.integers(0, max(1, len(rows) // 4), len(rows))]


def constants(rng, rows):
    return np.ones(rows.shape) * rng.choice([-1, 1], (len(rows), 1))


def whole_numbers(rng, rows):
    return rng.integers(-2, 3, rows.shape).astype(np.float64)


def some_zero(rng, rows):
    return rows * rng.integers(0, 2, (len(rows), 1))


def one_large_value(rng, rows):
    large = rows.copy()
    large[:, rng.integers(rows.shape[1])] *= 1e4
    return large


def cancelling(rng, rows):
    """Pairs of large numbers whose sum is what counts."""
    twice = rows.copy()
    half = rows.shape[1] // 2
    twice[:, half : 2 * half] = -twice[:, :half] * (1 + 1e-7 * rng.integers(-2, 3, (len(rows), 1)))
    return twice


def clustered(rng, rows):
    return rows[rng.integers(0, max(1, len(rows) // 9), len(rows))] + 0.02 * rows


SHAPERS = (
    scattered, near_ties, copies, constants, whole_numbers, some_zero, one_large_value, cancelling,
    clustered,
)  # fmt: skip


def drawn_rows(rng, shape, dtype):
    """Return rows of a kind and of lengths that are drawn, too; one case in eight mixes kinds."""
    if rng.random() < 1 / 8 and shape[0] > 1:
        first = int(rng.integers(1, shape[0]))
        sizes = (first, shape[1]), (shape[0] - first, shape[1])
        return rng.permutation(np.concatenate([drawn_rows(rng, size, dtype) for size in sizes]))
    rows = rng.standard_normal(shape) / np.sqrt(shape[1])
    if rng.random() < 0.6:
        rows = SHAPERS[rng.integers(len(SHAPERS))](rng, rows)
    low, high = LENGTHS["usual" if rng.random() < 0.4 else rng.choice(list(LENGTHS))]
    if dtype == np.float16 and low < high:
        low, high = LENGTHS_OF_HALVES
    each = (len(rows), 1) if rng.random() < 0.7 else (1, 1)
    rows = rows * 10.0 ** rng.uniform(low, high, each)
    largest = LARGEST if dtype == np.float32 else LARGEST_HALF
    return np.clip(rows, -largest, largest).astype(dtype)


def drawn_queries(rng, rows, count):
    """Return queries of their own kind, or rows of the gallery, changed a little or not at all."""
    if len(rows) and rng.random() < 0.5:
        near = rows[rng.integers(0, len(rows), count)].astype(np.float32)
        if rng.random() < 0.5:
            near = near * (1 + rng.choice([1e-7, 1e-3, 0.3]) * rng.standard_normal(near.shape))
        return np.clip(near, -LARGEST, LARGEST).astype(np.float32)
    return drawn_rows(rng, (count, rows.shape[1]), rng.choice([np.float32, np.float32, np.float16]))


def drawn_shape(rng):
    """Return numbers of queries, rows and dimensions around those at which code changes its way."""
    num_queries = int(rng.choice([1, 1, 2, 6, 7, 9, 13, 24, 81, 100]))
    dimension = int(rng.choice([1, 2, 3, 8, 17, 31, 32, 33, 64, 127, 129, 300]))
    most = MAX_PRODUCTS // (num_queries * dimension)
    num_rows = int(rng.integers(1, 60) if rng.random() < 0.7 else rng.integers(1, 2000))
    return num_queries, max(1, min(num_rows, most)), dimension


def true_scores(queries, rows, metric):
    """Return scores [Q, G] in long double, larger is better, and what float64 may round off."""
    query_QD, row_GD = queries.astype(np.longdouble), rows.astype(np.longdouble)
    if metric == "l2":
        score_QG = -np.square(query_QD[:, np.newaxis] - row_GD).sum(axis=2)
        return score_QG, 1e-13 * abs(score_QG)
    product_QG, most_QG = query_QD @ row_GD.T, abs(query_QD) @ abs(row_GD).T
    if metric == "ip":
        return product_QG, 1e-13 * most_QG
    length_QG = np.outer(lengths(query_QD), lengths(row_GD))
    return product_QG / np.where(length_QG == 0, 1, length_QG), np.full(length_QG.shape, 1e-13)


def lengths(row_ND):
    return np.sqrt(np.square(row_ND).sum(axis=1))


def are_nearest(found_QK, queries, rows, metric):
    """Say whether each slot's true score is that of its rank, up to what float64 rounds off.

    A slot may be off by the error of its own item, and of any item that stands before it.
    """
    score_QG, error_QG = true_scores(queries, rows, metric)
    order_QK = np.argsort(-score_QG, axis=1, kind="stable")[:, : found_QK.shape[1]]
    found_QK, empty = np.split(found_QK, [order_QK.shape[1]], axis=1)
    if (empty != -1).any() or (found_QK < 0).any():
        return False
    scores, right = (np.take_along_axis(score_QG, one, 1) for one in (found_QK, order_QK))
    errors = [np.take_along_axis(error_QG, one, 1) for one in (found_QK, order_QK)]
    return bool((abs(scores - right) <= 2 * np.maximum.accumulate(np.maximum(*errors), 1)).all())


# Each path returns a function that searches, the ids of what is there, and the rows themselves.


def by_topk(rng, rows, metric, folder):
    laid_out = np.asfortranarray(rows) if rng.random() < 0.2 else rows
    return lambda query_QD, k, _: topk(query_QD, laid_out, k, metric), np.arange(len(rows)), rows


def by_codes(rng, rows, metric, folder):
    encode = encode_binary if rng.random() < 0.5 else encode_int8
    codes = encode(rows, metric=metric)

    def search(query_QD, k, allow):
        return search_exact(query_QD, rows, codes, k, metric=metric, allow=allow)

    return search, np.arange(len(rows)), rows


def by_index(rng, rows, metric, folder):
    return searching(GalleryIndex.build(rows, metric, storage=str(rows.dtype)))


def by_changed_index(rng, rows, metric, folder):
    parts = cut(rng, rows)
    index = GalleryIndex.build(parts[0], metric, storage=str(rows.dtype))
    for part in parts[1:]:
        if rng.random() < 0.2:
            index.merge(GalleryIndex.build(part, metric, storage=str(rows.dtype)))
        else:
            index.add(part)
        change(rng, index)
    if rng.random() < 0.3:
        index.save(folder / "one")
        index = open_index(folder / "one")
    return searching(index)


def by_shards(rng, rows, metric, folder):
    settings = IndexSettings(metric=metric, storage=str(rows.dtype))
    rows_per_shard = int(rng.integers(1 + len(rows) // 9, len(rows) + 2))
    return searching(
        ShardedIndex.build(folder / "many", rows, settings, rows_per_shard=rows_per_shard)
    )


def by_changed_shards(rng, rows, metric, folder):
    parts = cut(rng, rows)
    by_shards(rng, parts[0], metric, folder)
    index = open_index(folder / "many")
    for part in parts[1:]:
        index.add(part)
        change(rng, index)
    return searching(index if rng.random() < 0.5 else open_index(folder / "many"))


PATHS = {
    by_topk: 0.2,
    by_codes: 0.2,
    by_index: 0.2,
    by_changed_index: 0.2,
    by_shards: 0.1,
    by_changed_shards: 0.1,
}


def searching(index):
    rows = index.stored_embeddings()
    row_GD = np.concatenate(rows) if isinstance(rows, list) else rows

    def search(query_QD, k, allow):
        by_id = allow is not None and k % 2
        return index.search(query_QD, k, allow=index.ids[allow] if by_id else allow)

    return search, index.ids, row_GD


def cut(rng, rows):
    return np.split(rows, np.sort(rng.integers(0, len(rows) + 1, rng.integers(1, 4))))


def change(rng, index):
    if rng.random() < 0.6:
        index.remove(rng.permutation(index.ids)[: int(rng.integers(0, 1 + len(index) // 2))])
    if rng.random() < 0.3:
        index.compact()
    if rng.random() < 0.1:
        index.recode()


def is_right(seed, counts):
    """Run the case of a seed, and count what it was."""
    rng = np.random.default_rng(seed)
    metric, path = METRICS[rng.integers(3)], rng.choice(list(PATHS), p=list(PATHS.values()))
    num_queries, num_rows, dimension = drawn_shape(rng)
    rows = drawn_rows(rng, (num_rows, dimension), np.float16 if rng.random() < 0.25 else np.float32)
    queries = drawn_queries(rng, rows, num_queries)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for module, name, small in TURNS:
            value = small if rng.random() < 0.5 else getattr(module, name)
            stack.enter_context(patch.object(module, name, value))
        search, id_N, kept_ND = path(rng, rows, metric, Path(folder))
        k = int(rng.integers(1, 4 + len(id_N)) if rng.random() < 0.3 else rng.integers(1, 9))
        allow = None
        if path is not by_topk and rng.random() < 0.3:
            allow = rng.random(len(id_N)) < rng.choice([0.1, 0.5, 0.9])
        found = search(queries, k, allow)
    counts[path.__name__.removeprefix("by_")] += 1
    counts["masks"] += allow is not None
    counts["queries"] += num_queries
    if allow is not None:
        id_N, kept_ND = id_N[allow], kept_ND[allow]
    expected = reference.topk(queries, kept_ND, k, metric)
    number_by_id = {int(item): number for number, item in enumerate(id_N)} | {-1: -1}
    number_QK = np.vectorize(number_by_id.__getitem__, otypes=[np.int64])(found.ids)
    return (
        np.array_equal(number_QK, expected.ids)
        and np.array_equal(found.scores, expected.scores)
        and are_nearest(number_QK, queries, kept_ND, metric)
    )


def run(num_cases, first_seed=0):
    """Return how many cases there were of each kind, and the seeds of those that went wrong."""
    counts = Counter()
    with np.errstate(all="ignore"):
        seeds = range(first_seed, first_seed + num_cases)
        return counts, [seed for seed in seeds if not is_right(seed, counts)]


def main(num_cases, first_seed=0):
    for first in range(first_seed, first_seed + num_cases, CASES_TOLD):
        counts, wrong = run(min(CASES_TOLD, first_seed + num_cases - first), first)
        told = {"dot_instruction": dot_instruction(), "first_seed": first, **counts}
        print(json.dumps(told | {"wrong_seeds": wrong}), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
