"""Who searches: our modes and the rivals, each behind the same three questions.

    search(queries, k)      int64 ids [Q, K], best first        timed
    bytes_per_vector        what the library keeps of an item
    build                   from float32 rows to ready          timed once

All compare by inner product; the rows have length 1. A library that is not installed has no row.
Where a library only scores (NumKong, SimSIMD, NumPy), NumPy's argpartition selects: the pair is
what its user would write.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ENGINES", "Built", "versions"]

Rows = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
BLOCK_SCORES = 1 << 26  # 256 MiB of scores at a time, for those that keep them all
FEW_QUERIES = 8  # below it NumKong's cdist is faster than its packed product
FEWEST_FOR_BLAS = 16  # queries from which FAISS is faster with matrix products than without
NEVER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Built:
    """A gallery inside one library; ``search`` takes (queries, k, num_threads)."""

    search: Callable[[Rows, int, int], Ids]
    bytes_per_vector: float
    scanned_bytes: int | None = None
    """What one query reads at least, where that is known: for the share of the bandwidth."""
    compiles: bool = False
    """Whether the first search of a kind may compile, which is not what is timed."""


def ours_exact(rows: Rows) -> Built:
    return ours(rows, "exact", None)


def ours_int8(rows: Rows) -> Built:
    return ours(rows, "codes", "int8")


def ours_binary(rows: Rows) -> Built:
    return ours(rows, "codes", "binary")


def ours(rows: Rows, mode: str, storage: str | None) -> Built:
    from cmpc_kernels import GalleryIndex

    index = GalleryIndex.build(rows, "ip", mode=mode, storage=storage)
    sizes = index.bytes_by_part()
    return Built(
        lambda queries, k, num_threads: index.search(queries, k, num_threads=num_threads).ids,
        sum(sizes.values()) / len(rows),
        sizes["codes"] if storage == "binary" else first_pass_bytes(rows),
        compiles=True,
    )


def first_pass_bytes(rows: Rows) -> int:
    """Return what is read of every row with 8-bit codes: half of them, and what bounds them.

    The other half is read where a block may hold a neighbour, exact mode's rows where a code may.
    """
    from cmpc_kernels.nearest.codes import encode_int8

    sample = rows[: len(rows) // 16 * 16][:1600]
    arrays = encode_int8(sample, metric="ip").arrays()
    read = sum(array.nbytes for name, array in arrays.items() if name != "rests")
    return read * len(rows) // max(1, len(sample))


def ours_topk(rows: Rows) -> Built:
    from cmpc_kernels import topk

    return Built(
        lambda queries, k, num_threads: topk(queries, rows, k, num_threads=num_threads).ids,
        4 * rows.shape[1],
        rows.nbytes,
        compiles=True,
    )


def faiss_flat(rows: Rows) -> Built:
    """As it comes."""
    import faiss

    return faiss_by_inner_product(rows, lambda _: int(faiss.cvar.distance_compute_blas_threshold))


def faiss_tuned(rows: Rows) -> Built:
    """At its best: with matrix products from as many queries on as that is faster for.

    As it comes it hardly ever multiplies matrices, and takes up to seven times as long.
    """
    return faiss_by_inner_product(
        rows, lambda num_queries: 1 if num_queries >= FEWEST_FOR_BLAS else NEVER
    )


def faiss_by_inner_product(rows: Rows, threshold_for: Callable[[int], int]) -> Built:
    import faiss

    as_it_comes = faiss.cvar.distance_compute_blas_threshold
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)

    def search(queries: Rows, k: int, _: int) -> Ids:
        faiss.cvar.distance_compute_blas_threshold = threshold_for(len(queries))
        ids: Ids = index.search(queries, k)[1]
        faiss.cvar.distance_compute_blas_threshold = as_it_comes
        return ids

    return Built(search, index.sa_code_size())


def faiss_sq8(rows: Rows) -> Built:
    import faiss

    index = faiss.IndexScalarQuantizer(
        rows.shape[1], faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index.train(rows)
    index.add(rows)
    return Built(lambda queries, k, _: index.search(queries, k)[1], index.sa_code_size())


def numkong(rows: Rows) -> Built:
    """Few queries by ``cdist``, many by its packed product, each where it is the faster one."""
    import numkong as library

    packed = library.dots_pack(rows)

    def score_block(queries: Rows) -> npt.NDArray[Any]:
        if len(queries) < FEW_QUERIES:
            return np.asarray(library.cdist(queries, rows, "dot", out_dtype="float32"))
        return np.asarray(library.dots_packed(queries, packed))

    # It has no threads of its own: queries are split among ours.
    return Built(in_blocks(score_block, len(rows)), packed.nbytes / len(rows))


def simsimd(rows: Rows) -> Built:
    import simsimd as library

    def search(queries: Rows, k: int, num_threads: int) -> Ids:
        def score_block(block: Rows) -> npt.NDArray[Any]:
            score = library.cdist(block, rows, "inner", out_dtype="float32", threads=num_threads)
            return np.asarray(score)

        return in_blocks(score_block, len(rows))(queries, k, 1)

    return Built(search, 4 * rows.shape[1])


def in_blocks(
    score_block: Callable[[Rows], npt.NDArray[Any]], num_items: int
) -> Callable[[Rows, int, int], Ids]:
    """Score all items for a block of queries at a time, then select; a thread has every n-th."""

    def search(queries: Rows, k: int, num_threads: int) -> Ids:
        step = max(1, min(BLOCK_SCORES // num_items, -(-len(queries) // num_threads)))
        blocks = [queries[start : start + step] for start in range(0, len(queries), step)]

        def found(block: Rows) -> Ids:
            return select(score_block(block), k)

        if num_threads == 1 or len(blocks) == 1:
            return np.concatenate([found(block) for block in blocks])
        with ThreadPoolExecutor(num_threads) as pool:
            return np.concatenate(list(pool.map(found, blocks)))

    return search


def select(score_QG: npt.NDArray[Any], k: int) -> Ids:
    """Return the columns of the k largest scores, best first."""
    score_QG = score_QG.reshape(-1, score_QG.shape[-1])
    found = np.argpartition(score_QG, -k, axis=1)[:, -k:]
    order = np.argsort(-np.take_along_axis(score_QG, found, axis=1), axis=1)
    return np.take_along_axis(found, order, axis=1)


def usearch(rows: Rows) -> Built:
    from usearch.index import MetricKind
    from usearch.index import search as exact_search

    def search(queries: Rows, k: int, num_threads: int) -> Ids:
        found = exact_search(
            rows, queries, k, metric=MetricKind.IP, exact=True, threads=num_threads
        )
        return np.asarray(found.keys).astype(np.int64).reshape(len(queries), -1)

    return Built(search, 4 * rows.shape[1])


def hnswlib(rows: Rows) -> Built:
    import hnswlib as library

    index = library.BFIndex(space="ip", dim=rows.shape[1])
    index.init_index(max_elements=len(rows))
    index.add_items(rows)

    def search(queries: Rows, k: int, num_threads: int) -> Ids:
        return index.knn_query(queries, k=k, num_threads=num_threads)[0].astype(np.int64)

    return Built(search, 4 * rows.shape[1] + 8)


def numpy(rows: Rows) -> Built:
    search = in_blocks(lambda queries: queries @ rows.T, len(rows))
    return Built(lambda queries, k, _: search(queries, k, 1), 4 * rows.shape[1])


ENGINES: dict[str, Callable[[Rows], Built]] = {
    "exact": ours_exact,
    "codes int8": ours_int8,
    "codes 1-bit": ours_binary,
    "topk": ours_topk,
    "FAISS flat": faiss_flat,
    "FAISS tuned": faiss_tuned,
    "FAISS SQ8": faiss_sq8,
    "NumKong": numkong,
    "SimSIMD": simsimd,
    "usearch": usearch,
    "hnswlib": hnswlib,
    "NumPy": numpy,
}
"""The first four are ours."""


def versions() -> dict[str, str]:
    """Return the versions of what takes part; "not installed" where it does not."""
    found = {}
    for package in ("numpy", "numba", "faiss-cpu", "numkong", "simsimd", "usearch", "hnswlib"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
