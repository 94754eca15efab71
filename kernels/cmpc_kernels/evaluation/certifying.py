"""Prove that an answer is the exact one, without trusting the search that gave it.

A code bounds its row's score from above: with a row x = s (u - z) + r, where codes are u, and an e
of its block that is at least |r| / s (``compiled/encoders.py``), Cauchy-Schwarz says

    <q, x> = s <q, u - z> + <q, r>  <=  s (<q, u - z> + |q| e)

Here that is computed for every row, in float64 and plain NumPy. Rows whose bounds reach the last
score of the answer are scored by the definition, and their best must be the answer. All the others
are below it: that is what ``Certificate`` tells, and its ``verify`` can check without any codes.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_kernels.compiled.intrinsics import LANES
from cmpc_kernels.errors import BadArgument
from cmpc_kernels.evaluation.certificates import (
    Certificate,
    CertifiedAnswer,
    Ranking,
    files_of,
    pieces_of,
)
from cmpc_kernels.gallery.index import GalleryIndex
from cmpc_kernels.gallery.shards import ShardedIndex, open_index
from cmpc_kernels.nearest.codes import RowCodes
from cmpc_kernels.records import Neighbours

__all__ = ["certify"]

SLACK = 2.0**-20  # of |q| |x|, more than float64 and a float32 gain round off
SMALLEST = 2.0**-149  # float32, to which an offset may have been rounded down
SQUARE_SLACK = 2.0**-36  # of |q|^2, under "l2"; as much as the compiled search allows


def certify(
    path: Path,
    queries: npt.NDArray[Any],
    found: Neighbours,
    *,
    allow: npt.ArrayLike | None = None,
) -> Certificate:
    """Return why an answer of an exact index is exact; some hundred times slower than a search.

    Args:
        path: The index that was searched: a file or a folder of shards, as it is stored.
        queries: float32 or float16 [Q, D], finite.
        found: What ``search`` returned for them, with k slots a query.
        allow: What ``search`` was given.

    Raises:
        BadArgument: the answer is not the exact one of this index, as when somebody changed it
            since, or the index keeps no rows.
    """
    index = open_index(path, verify=False)
    query_QD = _checked(index, path, queries, found)
    allowed_ids = None if allow is None else _ids_of(index, allow)
    proofs = [_Proof(*one, index.metric) for one in zip(query_QD, found.scores, strict=True)]
    for file in files_of(index):
        row_GD, codes = file.rows, file.codes
        assert row_GD is not None, "modes without rows are refused"
        assert codes is not None, "modes of FAISS's are refused"
        for place_N, id_N in pieces_of(file, allowed_ids):
            bound_QN = upper_bounds(query_QD.astype(np.float64), codes.take(place_N))
            for proof, bound_N in zip(proofs, bound_QN, strict=True):
                proof.compare(bound_N, row_GD, place_N, id_N)
    for number, (proof, id_K) in enumerate(zip(proofs, found.ids, strict=True)):
        if proof.ranking.ids.tolist() != id_K[id_K >= 0].tolist():
            raise BadArgument(
                f"an answer must be the exact one of {path} to be certified, query {number} finds "
                f"{proof.ranking.ids.tolist()} there, and got {id_K.tolist()}; search it as it is "
                f"now, with the same queries and items allowed"
            )
    return Certificate(
        header_sha256s=[one.header_sha256 for one in index.stored_files],
        metric=index.metric,
        k=found.ids.shape[1],
        allowed_ids=allowed_ids,
        answers=[proof.answer() for proof in proofs],
    )


class _Proof:
    """What is known of one query's answer so far."""

    def __init__(
        self, query_D: npt.NDArray[np.float32], score_K: npt.NDArray[Any], metric: str
    ) -> None:
        self._query, self._metric = query_D.tolist(), metric
        last = -score_K[-1] if metric == "l2" else score_K[-1]
        # The answer's scores are rounded: the last one is not below the float32 before it.
        self._threshold = np.nextafter(np.float32(last), np.float32(-np.inf))
        self.ranking, self._highest = Ranking(len(score_K), None), -np.inf

    def compare(
        self,
        bound_N: npt.NDArray[np.float64],
        row_GD: npt.NDArray[Any],
        place_N: npt.NDArray[np.int64],
        id_N: npt.NDArray[np.int64],
    ) -> None:
        """Score the rows whose bounds reach the last score."""
        is_reached_N = ~(bound_N < self._threshold)
        some = place_N[is_reached_N]
        self.ranking.compare(self._query, row_GD[some], id_N[is_reached_N], self._metric)
        self._highest = max(self._highest, bound_N[~is_reached_N].max(initial=-np.inf))

    def answer(self) -> CertifiedAnswer:
        """Return what a certificate says of it."""
        return CertifiedAnswer(
            query=self._query,
            ids=self.ranking.ids.tolist(),
            scores=self.ranking.scores.tolist(),
            num_scored=self.ranking.num_compared,
            highest_bound=None if self._highest == -np.inf else float(self._highest),
        )


def upper_bounds(query_QD: npt.NDArray[np.float64], codes: RowCodes) -> npt.NDArray[np.float64]:
    """Return what the scores of coded rows are at most, [Q, N]; inf where codes say nothing.

    Scores are those of ``reference.score_matrix``, rounded as they are.
    """
    length_Q1 = np.sqrt(np.square(query_QD).sum(axis=1, keepdims=True))
    block_N = np.arange(codes.num_rows) // LANES
    lost_N, size_N = codes.bounds[block_N, -2:].astype(np.float64).T
    gain_N = codes.gains.reshape(-1)[: codes.num_rows].astype(np.float64)
    room_QN = length_Q1 * (lost_N + SLACK * (lost_N + size_N))
    bound_QN = gain_N * (query_QD @ codes.centred().astype(np.float64).T + room_QN)
    if codes.metric == "cosine":
        bound_QN /= np.where(length_Q1 > 0, length_Q1, 1)
    elif codes.metric == "l2":
        offset_N = codes.offsets.reshape(-1)[: codes.num_rows].astype(np.float64) + SMALLEST
        bound_QN = 2 * (bound_QN + offset_N) - length_Q1**2 * (1 - SQUARE_SLACK)
    return np.where(np.isnan(bound_QN), np.inf, bound_QN)


def _checked(
    index: GalleryIndex | ShardedIndex,
    path: Path,
    queries: npt.NDArray[Any],
    found: Neighbours,
) -> npt.NDArray[np.float32]:
    """Return the queries in float32 if there may be a proof."""
    if index.settings.mode != "exact":
        raise BadArgument(
            f"an index must be one in exact mode to have its answers certified, and {path} is in "
            f"{index.settings.mode} mode; build one in exact mode"
        )
    query_QD = index.query_contract().prepare(queries, None).astype(np.float32)
    if found.ids.shape[:1] != (len(query_QD),) or found.scores.shape != found.ids.shape:
        raise BadArgument(
            f"an answer must have ids and scores of each of the {len(query_QD)} queries, got the "
            f"shapes {list(found.ids.shape)} and {list(found.scores.shape)}"
        )
    if not np.isfinite(query_QD).all():
        raise BadArgument(
            "queries must be finite to be certified, got NaN or infinite values; leave them out"
        )
    return query_QD


def _ids_of(index: GalleryIndex | ShardedIndex, allow: npt.ArrayLike) -> list[int]:
    """Return the ids that a filter, ids or bool by item, lets through, ascending."""
    given = np.asarray(allow)
    allowed = index.ids[given] if given.dtype == np.bool_ else np.unique(given)
    return [int(one) for one in allowed]
