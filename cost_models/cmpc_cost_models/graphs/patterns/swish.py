"""The product of a tensor and its own sigmoid, or hard sigmoid: Swish and HardSwish.

(Ramachandran, Zoph and Le, 2017; Howard et al., ICCV 2019, section 5.2)
"""

import numpy as np
import onnx
from onnx import helper

from cmpc_cost_models.graphs.graph import Graph
from cmpc_cost_models.graphs.parts import attributes_of
from cmpc_cost_models.graphs.patterns.base import Match

__all__ = ["swish"]

SLOPE_AND_OFFSET = (1 / 6, 0.5)  # of the hard sigmoid in HardSwish


def swish(graph: Graph, last: onnx.NodeProto) -> Match | None:
    """Match ``x * sigmoid(x)`` where nobody else reads that sigmoid."""
    if last.op_type != "Mul":
        return None
    for source, gate in (last.input, last.input[::-1]):
        made_by = graph.producer(gate)
        if made_by is None or list(made_by.input) != [source] or graph.num_readers(gate) > 1:
            continue
        if (operator := _operator(made_by)) is not None:
            node = helper.make_node(operator, [source], [last.output[0]], name=last.name)
            return Match(node=node, given=(made_by, last))
    return None


def _operator(gate: onnx.NodeProto) -> str | None:
    """Return what the product with this gate is."""
    if gate.op_type == "Sigmoid":
        return "Swish"
    given = attributes_of(gate)
    line = (given.get("alpha", 0.2), given.get("beta", 0.5))
    is_hard = gate.op_type == "HardSigmoid" and np.allclose(line, SLOPE_AND_OFFSET)
    return "HardSwish" if is_hard else None
