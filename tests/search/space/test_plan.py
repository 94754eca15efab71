"""A plan counts what its operations cost and carries a value no further than it is read."""

import weakref

import pytest

from cmpc_search.space.operations import Add, Concat, Convolution, MaxPool, Slice
from cmpc_search.space.plan import PlanDraft


class Value:
    """Anything that a plan may carry, and that can be seen to go."""


@pytest.fixture
def draft():
    return PlanDraft("tiny", input_size_px=9)


def test_a_plan_is_counted_layer_by_layer(draft):
    value = draft.add(Convolution(3, 4, 3, stride=2), draft.image, name="stem")  # 5 px
    even, odd = (draft.add(Slice(start, step=2), value) for start in (0, 1))
    odd = draft.add(Convolution(2, 2, 5, depthwise=True), odd, name="depthwise")
    value = draft.add(MaxPool(3, 2, 1), draft.add(Concat(), even, odd))  # 3 px
    plan = draft.embedded(draft.add(Add(), value, value), embedding_dim=7)

    assert plan.macs == 4 * 3 * 9 * 25 + 2 * 25 * 25 + 4 * 7


def test_a_global_convolution_weighs_each_place_of_the_map(draft):
    draft.laid_out(draft.image)

    assert draft.finished().steps[-1].out.size_px == 1
    assert draft.finished().macs == 3 * 9 * 9


def test_values_that_nothing_reads_any_more_are_let_go(draft):
    value = draft.image
    for number in range(4):
        value = draft.add(Convolution(3, 3), value, name=f"layer.{number}")
    made, alive = weakref.WeakSet(), []

    def compute(step, values):
        given = Value()
        made.add(given)
        alive.append(len(made))
        return given

    draft.finished().run(Value(), compute)

    assert max(alive) == 2  # what a step reads and what it gives
