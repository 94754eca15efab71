"""An evaluation that nothing was evaluated for."""

import numpy as np

from cmpc_kernels import QueryRanks
from cmpc_search.evaluation.base import ProtocolResult
from cmpc_search.evaluation.judgement import judge
from cmpc_search.evaluation.outcomes import SeedResult
from cmpc_search.runs.evaluation import Evaluation, NetworkCost, ScoredQueries, SeenClasses


def result(best_ranks):
    best = np.array(best_ranks, np.float64)
    ranks = QueryRanks(
        query_ids=np.arange(len(best)),
        best_ranks=best,
        average_precisions=1 / best,
        num_gallery=9,
        num_excluded=1,
    )
    return ProtocolResult(metrics={"top1": float((best <= 1).mean())}, ranks=ranks)


def make_evaluation(query_cost=None, **changes):
    seed = SeedResult(
        seed=0,
        paragon=result([1, 1, 2]),
        homogeneous=result([2, 1, 3]),
        heterogeneous=result([1, 2, 2]),
    )
    facts = {
        "run": "runs/made-up",
        "architecture": "k3-1.0",
        "seen_classes": SeenClasses.UNSEEN,
        "queries": ScoredQueries(
            num_classes=3,
            num_queries=3,
            num_gallery=9,
            num_excluded_classes=1,
            num_excluded=1,
            chance_top1=1 / 9,
        ),
        "judgement": judge([seed]),
        "chance_check": None,
        "query_cost": query_cost or NetworkCost(macs=20, parameters=2, latency=None),
        "gallery_cost": None,
    }
    return Evaluation(**facts | changes)
