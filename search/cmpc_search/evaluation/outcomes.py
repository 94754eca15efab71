"""What each query found, network by network: the evidence behind every mean.

    evaluation.npz     schema_version      int64 []
                       query_names         text [Q], item names of the scored queries
                       seeds               int64 [S]
                       PAIR_best_rank      float64 [S, Q], of the first right item; 1 is the nearest
                       PAIR_top1, _top10   bool [S, Q]
                       PAIR_average_precision   float64 [S, Q]

PAIR is paragon, homogeneous or heterogeneous: M(g, g), M(q, q) and M(q, g).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmpc_base.files import replacing
from cmpc_kernels import QueryRanks
from cmpc_search.evaluation.base import ProtocolResult

__all__ = ["PAIRS", "TOP1", "SeedResult", "outcomes_of", "write_outcomes"]

SCHEMA_VERSION = 1
PAIRS = ("paragon", "homogeneous", "heterogeneous")
TOP1 = 0
"""Where `outcomes_of` puts top-1."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SeedResult:
    """What was found of one trained query network, and the gallery network it is held against."""

    seed: int
    paragon: ProtocolResult
    homogeneous: ProtocolResult
    heterogeneous: ProtocolResult

    def ranks(self, pair: str) -> QueryRanks:
        """Return the ranks of one of `PAIRS`."""
        result: ProtocolResult = getattr(self, pair)
        return result.ranks


def outcomes_of(ranks: QueryRanks, *, num_views: int = 1) -> npt.NDArray[np.float64]:
    """Return top-1, top-10, average precision and reciprocal rank of each query, float64 [Q, 4].

    A query that was asked in several views, all queries in one view and then in the next, has the
    means over its views: views of one image are no independent queries.
    """
    best = ranks.best_ranks
    columns = (best <= 1, best <= 10, ranks.average_precisions, 1 / best)
    outcomes_VQ4 = np.stack(columns, axis=1).astype(np.float64).reshape(num_views, -1, len(columns))
    means: npt.NDArray[np.float64] = outcomes_VQ4.mean(axis=0)
    return means


def write_outcomes(path: Path, query_names: Sequence[str], seeds: Sequence[SeedResult]) -> None:
    """Write an .npz file that needs no pickle to be read; ``query_names`` are the scored ones."""
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "schema_version": np.array(SCHEMA_VERSION),
        "query_names": np.array(query_names, dtype=np.str_),
        "seeds": np.array([one.seed for one in seeds], dtype=np.int64),
    }
    for pair in PAIRS:
        ranks = [one.ranks(pair) for one in seeds]
        best_rank_SQ = np.stack([one.best_ranks for one in ranks])
        arrays |= {
            f"{pair}_best_rank": best_rank_SQ,
            f"{pair}_top1": best_rank_SQ <= 1,
            f"{pair}_top10": best_rank_SQ <= 10,
            f"{pair}_average_precision": np.stack([one.average_precisions for one in ranks]),
        }
    with replacing(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
