"""The channel shuffle of ShuffleNet (Zhang et al., CVPR 2018): reshape, transpose, reshape.

[1, C, H, W] --> [1, groups, C / groups, H, W] --> [1, C / groups, groups, H, W] --> [1, C, H, W]
"""

import onnx
from onnx import helper

from cmpc_cost_models.graphs.graph import Graph
from cmpc_cost_models.graphs.parts import attributes_of
from cmpc_cost_models.graphs.patterns.base import OWN_DOMAIN, Match

__all__ = ["channel_shuffle"]

GROUPS_AND_MEMBERS_SWAPPED = [0, 2, 1, 3, 4]
RESHAPES = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")


def channel_shuffle(graph: Graph, last: onnx.NodeProto) -> Match | None:
    """Match a reshape that puts channels together which a transpose dealt out."""
    transpose = _producer(graph, last, RESHAPES)
    if transpose is None or transpose.op_type != "Transpose":
        return None
    split = graph.producer(transpose.input[0])
    if split is None or split.op_type not in RESHAPES:
        return None
    source = split.input[0]
    whole, parts = graph.shape(source), graph.shape(split.output[0])
    if attributes_of(transpose).get("perm") != GROUPS_AND_MEMBERS_SWAPPED or not whole or not parts:
        return None
    is_split = (len(whole), len(parts)) == (4, 5) and whole[2:] == parts[3:]
    if not is_split or parts[:1] != (1,) or parts[1] * parts[2] != whole[1]:
        return None
    if graph.shape(last.output[0]) != whole:
        return None
    node = helper.make_node(
        "ChannelShuffle",
        [source],
        [last.output[0]],
        name=last.name,
        domain=OWN_DOMAIN,
        groups=parts[1],
    )
    return Match(node=node, given=(split, transpose, last))


def _producer(
    graph: Graph, node: onnx.NodeProto, operators: tuple[str, ...]
) -> onnx.NodeProto | None:
    return graph.producer(node.input[0]) if node.op_type in operators else None
