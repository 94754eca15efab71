"""The samplers by name; a new one is a new file and a row here. Naming them costs no Optuna."""

from typing import TYPE_CHECKING

from cmpc_base.registry import Registry

if TYPE_CHECKING:
    from cmpc_search.study.samplers.base import MakeSampler

__all__ = ["SAMPLERS"]

SAMPLERS: "Registry[MakeSampler]" = Registry(
    "sampler",
    {
        "nsga2": "cmpc_search.study.samplers.nsga2:make_nsga2",
        "tpe": "cmpc_search.study.samplers.tpe:make_tpe",
        "random": "cmpc_search.study.samplers.random:make_random",
    },
)
