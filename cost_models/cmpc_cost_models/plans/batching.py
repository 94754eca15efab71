"""Compute a batch image by image: the calls of one image, once for each.

Compact networks leave little for a batch to share, and the kernels know one image only; their code
and weights are shared.
"""

from dataclasses import replace

from cmpc_cost_models.plans.maps import Map, View
from cmpc_cost_models.plans.plan import Call, Plan
from cmpc_cost_models.plans.specs import Concat, ImageToMap

__all__ = ["repeat_for_batch"]


def repeat_for_batch(plan: Plan) -> Plan:
    """Return a plan for all images of ``plan.input_shape`` from one that computes the first."""
    batch = plan.input_shape[0]
    # Nothing is imported here: TVM's functions would want the whole batch.
    of_one = [call for call in plan.calls if isinstance(call, Call)]
    name_of = _Names(plan)
    calls = [_for_image(call, index, plan, name_of) for index in range(batch) for call in of_one]
    [size] = {call.spec.target.size for call in of_one if call.output == plan.output}
    part = View.whole(Map.vector(size))
    joined = Call(
        spec=Concat(sources=(part,) * batch, target=Map.vector(batch * size)),
        inputs=tuple(name_of(plan.output, index) for index in range(batch)),
        constants=(),
        output=name_of(plan.output, batch),
        root=name_of(plan.output, batch),
    )
    return replace(plan, calls=(*calls, joined), output=joined.output)


def _for_image(call: Call, index: int, plan: Plan, name_of: "_Names") -> Call:
    output = name_of(call.output, index)
    if call.inputs == (plan.input_name,) and isinstance(call.spec, ImageToMap):
        return replace(call, spec=replace(call.spec, index=index), output=output)
    inputs = tuple(one if one in plan.stored else name_of(one, index) for one in call.inputs)
    return replace(call, inputs=inputs, output=output)


class _Names:
    """Names the buffers of each image so that no two of any images have one name."""

    def __init__(self, plan: Plan) -> None:
        names = [
            plan.input_name,
            *plan.stored,
            *(one.output for one in plan.calls if isinstance(one, Call)),
        ]
        self._mark = "@"
        while any(self._mark in name for name in names):
            self._mark += "@"

    def __call__(self, buffer: str, index: int) -> str:
        return f"{buffer}{self._mark}{index}" if index else buffer
