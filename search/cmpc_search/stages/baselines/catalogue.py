"""The baselines by name; a new one is a new function and a row here. Naming them costs no torch."""

from typing import TYPE_CHECKING

from cmpc_base.registry import Registry

if TYPE_CHECKING:
    from cmpc_search.stages.baselines.base import MakeBaselines

__all__ = ["BASELINES"]

BASELINES: "Registry[MakeBaselines]" = Registry(
    "baseline",
    {
        "random": "cmpc_search.stages.baselines.in_space:random_architectures",
        "mobilenet-v2": "cmpc_search.stages.baselines.hand_made:mobilenet_v2",
        "shufflenet-v2": "cmpc_search.stages.baselines.hand_made:shufflenet_v2",
        "from-scratch": "cmpc_search.stages.baselines.in_space:from_scratch",
        "bct": "cmpc_search.stages.baselines.in_space:bct_alone",
        "regression": "cmpc_search.stages.baselines.in_space:regression_alone",
        "independent": "cmpc_search.stages.baselines.in_space:independent",
    },
)
