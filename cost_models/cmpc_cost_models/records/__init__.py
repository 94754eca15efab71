"""What everything here returns: compiled networks, costs with evidence, and what came of each.

networks    CompiledNetwork, its kernels and calls, and which way its nodes took
evidence    how a cost was timed, or what predicted it
costs       Cost, Unknown, Measurement
"""

from cmpc_cost_models.records.costs import SOURCES, Cost, Interval, Measurement, Unknown
from cmpc_cost_models.records.networks import (
    ORIGINS,
    CompiledNetwork,
    KernelCall,
    KernelRecord,
    NodePath,
)

__all__ = [
    "ORIGINS",
    "SOURCES",
    "CompiledNetwork",
    "Cost",
    "Interval",
    "KernelCall",
    "KernelRecord",
    "Measurement",
    "NodePath",
    "Unknown",
]
