"""Compute a batch image by image: the calls of one image, once for each.

Compact networks leave little for a batch to share, and the kernels know one image only; their code
and weights are shared.
"""

from dataclasses import replace

from cmpc_cost_models.lowering.calls import Call, Plan
from cmpc_cost_models.lowering.kernel_specs import Concat, ImageToMap, Map, View

__all__ = ["repeat_for_batch"]

OUTPUT = "cmpc:batch"  # a buffer that no graph names


def repeat_for_batch(plan: Plan) -> Plan:
    """Return a plan for all images of ``plan.input_shape`` from one that computes the first."""
    batch = plan.input_shape[0]
    # Nothing is imported here: TVM's functions would want the whole batch.
    of_one = [call for call in plan.calls if isinstance(call, Call)]
    calls = [_for_image(call, index, plan) for index in range(batch) for call in of_one]
    [size] = {call.spec.target.size for call in of_one if call.output == plan.output}
    part = View.whole(Map.vector(size))
    joined = Call(
        spec=Concat(sources=(part,) * batch, target=Map.vector(batch * size)),
        inputs=tuple(_name(plan.output, index) for index in range(batch)),
        constants=(),
        output=OUTPUT,
        root=OUTPUT,
    )
    return replace(plan, calls=(*calls, joined), output=OUTPUT)


def _for_image(call: Call, index: int, plan: Plan) -> Call:
    output = _name(call.output, index)
    if call.inputs == (plan.input_name,) and isinstance(call.spec, ImageToMap):
        return replace(call, spec=replace(call.spec, index=index), output=output)
    inputs = tuple(one if one in plan.stored else _name(one, index) for one in call.inputs)
    return replace(call, inputs=inputs, output=output)


def _name(buffer: str, index: int) -> str:
    return f"{buffer}:{index}" if index else buffer
