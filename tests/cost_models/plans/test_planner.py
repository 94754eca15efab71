"""What a rule planned is in the plan if it took the node, and otherwise nothing of it."""

import numpy as np
import pytest
from made_up_models import SHAPE, make_model, node, weights

from cmpc_cost_models.graphs.cleaning import clean_model
from cmpc_cost_models.graphs.graph import Graph
from cmpc_cost_models.graphs.reading import known_shapes
from cmpc_cost_models.plans.draft import Demand, Draft, Progress
from cmpc_cost_models.plans.plan import Image, Import
from cmpc_cost_models.plans.planner import plan_network


def test_a_rule_that_gives_up_leaves_nothing_behind(rng):
    """The convolution wants zeros around its input before it meets a bias that is computed."""
    nodes = [
        node("Transpose", "x", "last", perm=[0, 2, 3, 1]),
        node("Transpose", "last", "first", perm=[0, 3, 1, 2]),
        node("GlobalMaxPool", "x", "g"),
        node("Reshape", "g ten", "bias"),
        node("Conv", "first w bias", "y", pads=[1] * 4),
    ]
    constants = {"w": weights(rng, 10, 10, 3, 3), "ten": np.array([10])}

    *calls, last = plan_network(clean_model(make_model(nodes, (SHAPE, SHAPE), constants))).calls

    assert isinstance(last, Import)
    assert [one.op_type for one in last.nodes] == ["Conv"]
    read = {name for call in calls for name in call.inputs}
    read |= {one.buffer for one in last.inputs.values()}
    assert {call.output for call in calls} <= read


def test_a_draft_adds_nothing_to_what_is_planned():
    model = make_model([node("Relu", "x", "y")], (SHAPE, SHAPE), {})
    graph, progress = Graph(model, known_shapes(model)), Progress()
    progress.images["x"] = Image(buffer="x", shape=SHAPE)
    draft = Draft(graph, Demand.of(graph.nodes, graph), progress)

    value = draft.value("x")

    assert value.view.map.channels == SHAPE[1]
    assert (progress.calls, progress.values) == ([], {})
    draft.commit()
    assert [call.output for call in progress.calls] == [value.buffer]


@pytest.mark.parametrize("others", [[], [node("Neg", "s", "n"), node("Add", "m n", "y")]])
def test_a_swish_is_part_of_the_convolution_unless_its_gate_has_other_readers(others, rng):
    nodes = [
        node("Conv", "x w", "c", pads=[1] * 4),
        node("Sigmoid", "c", "s"),
        node("Mul", "c s", "m" if others else "y"),
        *others,
    ]
    model = clean_model(make_model(nodes, (SHAPE, SHAPE), {"w": weights(rng, 10, 10, 3, 3)}))

    kernels = [type(call.spec).__name__ for call in plan_network(model).calls]

    assert kernels.count("Convolution") == 1
    assert ("Affine" in kernels) == bool(others)
