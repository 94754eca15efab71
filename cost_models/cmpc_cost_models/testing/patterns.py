"""What every pattern of nodes promises to the planner.

class TestMine(PatternContract):
    @pytest.fixture
    def pattern(self):
        return my_pattern

    @pytest.fixture
    def model(self):
        return a_network_that_ends_with_it
"""

from pathlib import Path

import onnx
import pytest

from cmpc_cost_models.compiling.network import compile_network
from cmpc_cost_models.graphs.graph import Graph
from cmpc_cost_models.graphs.patterns.base import Match, Pattern
from cmpc_cost_models.graphs.reading import known_shapes, load_graph
from cmpc_cost_models.plans.planner import plan_network
from cmpc_cost_models.plans.rules.table import rule_for
from cmpc_cost_models.sites.agreement import compare
from cmpc_cost_models.sites.loaded import LoadedNetwork
from cmpc_cost_models.targets.table import find_target

__all__ = ["PatternContract"]


class PatternContract:
    """Subclass it and give a ``pattern``, and the ``model`` of a network that ends with it."""

    @pytest.fixture
    def pattern(self) -> Pattern:
        raise NotImplementedError

    @pytest.fixture
    def model(self) -> onnx.ModelProto:
        raise NotImplementedError

    @pytest.fixture
    def onnx_path(self, model: onnx.ModelProto, tmp_path: Path) -> Path:
        onnx.save(model, tmp_path / "pattern.onnx")
        return tmp_path / "pattern.onnx"

    @pytest.fixture
    def graph(self, onnx_path: Path) -> Graph:
        model = load_graph(onnx_path)
        return Graph(model, known_shapes(model))

    @pytest.fixture
    def match(self, pattern: Pattern, graph: Graph) -> Match:
        *others, last = (pattern(graph, node) for node in graph.nodes)
        assert others == [None] * len(others)
        assert last is not None
        return last

    def test_it_ends_with_the_node_that_it_was_asked_of(self, graph: Graph, match: Match) -> None:
        assert match.given[-1] == graph.nodes[-1]
        assert list(match.node.output) == list(graph.outputs)

    def test_it_reads_nothing_of_what_it_stands_for(self, match: Match) -> None:
        made = {name for node in match.given for name in node.output}

        assert made.isdisjoint(match.node.input)

    def test_a_rule_takes_its_node_and_nothing_else_is_called_for_it(
        self, graph: Graph, match: Match
    ) -> None:
        assert rule_for(match.node) is not None
        plan = plan_network(graph.model)
        calls = {one.name: one.call for one in plan.nodes}
        inner = [one.name or one.output[0] for one in match.given[:-1]]

        assert plan.num_imported == 0
        assert [calls[name] for name in inner] == [None] * len(inner)

    def test_it_computes_what_its_nodes_compute(self, onnx_path: Path, tmp_path: Path) -> None:
        built = compile_network(onnx_path, find_target("host"), cache_dir=tmp_path)
        network = LoadedNetwork(built.path, built.input_shape)

        assert compare(network.run, onnx_path, built.input_shape).objection is None
