"""Tell what a network costs on a target: count, compile, measure, bundle.

Only what is light is imported here; ``models``, ``compiling``, ``bundles`` and ``graphs``
are imported by those who use them.
"""

from cmpc_cost_models.errors import CostModelsError
from cmpc_cost_models.records import CompiledNetwork, Cost, Measurement
from cmpc_cost_models.targets.target import Target

__all__ = ["CompiledNetwork", "Cost", "CostModelsError", "Measurement", "Target"]
