"""Find the patterns of a graph, and drop the nodes whose results nobody reads any more."""

from collections.abc import Sequence

import onnx

from cmpc_cost_models.graphs.graph import Graph
from cmpc_cost_models.graphs.parts import ONNX_DOMAINS, all_inputs
from cmpc_cost_models.graphs.patterns.base import Match, Pattern
from cmpc_cost_models.graphs.patterns.channel_shuffle import channel_shuffle
from cmpc_cost_models.graphs.patterns.swish import swish
from cmpc_cost_models.graphs.patterns.unit_length import unit_length

__all__ = ["PATTERNS", "match_patterns"]

# Imported here and not by name: what a network is compiled to depends on them, and the identity of
# the code (``identity``) follows imports.
PATTERNS: tuple[Pattern, ...] = (channel_shuffle, swish, unit_length)


def match_patterns(graph: Graph, patterns: Sequence[Pattern] = PATTERNS) -> tuple[Match, ...]:
    """Return what is to be computed, in order: a node for each pattern, and all other nodes."""
    needed, kept = set(graph.outputs), list[Match]()
    for node in reversed(graph.nodes):
        if needed.isdisjoint(node.output):
            continue
        match = _first_match(graph, node, patterns) or Match(node=node, given=(node,))
        needed.update(all_inputs(match.node))
        kept.append(match)
    return tuple(kept[::-1])


def _first_match(graph: Graph, last: onnx.NodeProto, patterns: Sequence[Pattern]) -> Match | None:
    for pattern in patterns:
        match = pattern(graph, last)
        if match is not None and all(one.domain in ONNX_DOMAINS for one in match.given):
            return match
    return None
