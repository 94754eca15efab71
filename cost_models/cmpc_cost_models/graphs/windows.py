"""Which pads do the windows of a layer have, where the graph only says how they follow?"""

from collections.abc import Iterable

from cmpc_cost_models.graphs.parts import Attributes, Shape

__all__ = ["same_pads", "without_windows_outside"]


def without_windows_outside(size: Shape, given: Attributes) -> Attributes | None:
    """Return what to change of a pool of ``ceil_mode`` if a last window begins after the map.

    ONNX's shape inference counts such a window, runtimes don't. ``None`` if there is none, or if
    the last window of another axis must reach further than what counts as padding.
    """
    pads = list(given.get("pads", [0] * (2 * len(size))))
    strides, dilations = (given.get(name, [1] * len(size)) for name in ("strides", "dilations"))
    num_outside, num_kept = 0, 0
    for axis, length in enumerate(size):
        before, after = pads[axis], pads[len(size) + axis]
        reach = (given["kernel_shape"][axis] - 1) * dilations[axis] + 1
        steps, rest = divmod(length + before + after - reach, strides[axis])
        if rest and (steps + 1) * strides[axis] >= length + before:
            num_outside += 1
        elif rest:
            num_kept += 1
            pads[len(size) + axis] += strides[axis] - rest
    is_counted = given.get("count_include_pad") and num_kept
    return {"pads": pads, "ceil_mode": 0} if num_outside and not is_counted else None


def same_pads(size: Shape, kernel: Iterable[int], given: Attributes) -> tuple[list[int], list[int]]:
    """Return the pads before and after each axis that keep ``ceil(size / stride)`` results."""
    strides = given.get("strides") or [1] * len(size)
    dilations = given.get("dilations") or [1] * len(size)
    totals = [
        max((-(-length // stride) - 1) * stride + (taps - 1) * dilation + 1 - length, 0)
        for length, taps, stride, dilation in zip(size, kernel, strides, dilations, strict=True)
    ]
    return [total // 2 for total in totals], [total - total // 2 for total in totals]
