"""What a pattern promises, and what comes of it.

A pattern is asked of each node whether it is the last one of what the pattern knows, and answers
with one node that computes the same from the same tensors. That node is one of ONNX's, or one of
the domain ``OWN_DOMAIN`` where ONNX has none:

    ChannelShuffle(x; groups)    the channels of consecutive groups dealt out in turn
    UnitLength(x; smallest)      x [1, C] divided by its length, or by ``smallest`` if that is more
"""

from collections.abc import Callable
from dataclasses import dataclass

import onnx

from cmpc_cost_models.graphs.graph import Graph

__all__ = ["OWN_DOMAIN", "Match", "Pattern"]

OWN_DOMAIN = "cmpc"


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """One node to be computed, and what the graph has in its place.

    Attributes:
        node: What is to be computed.
        given: The graph's nodes that do the same, in order, the one with the result last. Others
            may read what those before it make.
    """

    node: onnx.NodeProto
    given: tuple[onnx.NodeProto, ...]


Pattern = Callable[[Graph, onnx.NodeProto], Match | None]
"""Returns the match that ends with this node, ``None`` if there is none. It changes nothing."""
