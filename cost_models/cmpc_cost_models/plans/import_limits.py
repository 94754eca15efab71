"""What TVM's importer takes and computes wrongly: such nodes are refused by name.

Each limit was found by comparing with ONNX Runtime, or with ONNX's own test cases.
"""

from collections.abc import Callable

import numpy as np
import onnx

from cmpc_cost_models.graphs.parts import Attributes
from cmpc_cost_models.plans.draft import Draft
from cmpc_cost_models.plans.plan import NotOurs

__all__ = ["has_whole_scales", "why_not_imported"]


def why_not_imported(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> str | None:
    """Return what ``node`` must not have to be imported rightly, or ``None`` if it has none."""
    if any(0 in draft.shape(name) for name in _computed(draft, node)):
        return "a tensor without any numbers"
    limit = _LIMITS.get(node.op_type)
    return limit(draft, node, attributes) if limit else None


def _computed(draft: Draft, node: onnx.NodeProto) -> list[str]:
    """Return the tensors at a node that are no constants and of known shape."""
    names = [
        name for name in (*node.input, *node.output) if name and not draft.graph.is_constant(name)
    ]
    return [name for name in names if draft.graph.shape(name) is not None]


def has_whole_scales(draft: Draft, node: onnx.NodeProto) -> bool:
    """Return whether a Resize's scales are the quotients of its sizes, to the last bit.

    2.1 times 3 pixels are 6 pixels that lie as 2.1 says, not as 2 does.
    """
    name = [*node.input, "", ""][2]
    scales = draft.constant(name) if name else np.zeros(0)
    shape, result = draft.shape(node.input[0]), draft.shape(node.output[0])
    quotients = np.array(result, np.float32) / np.array(shape, np.float32)
    return scales.size == 0 or np.array_equal(scales, quotients)  # sizes are given where not scales


def _resize(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> str | None:
    strange = [
        name
        for name, value in (
            ("antialias", 0),
            ("axes", None),
            ("keep_aspect_ratio_policy", b"stretch"),
        )
        if attributes.get(name, value) != value
    ]
    if strange:
        return f"the attribute {strange[0]}"
    try:
        is_whole = has_whole_scales(draft, node)
    except NotOurs as error:
        return f"sizes that are not fixed ({error})"
    return None if is_whole else "scales that are not the quotients of the sizes"


def _batch_norm(_: Draft, node: onnx.NodeProto, attributes: Attributes) -> str | None:
    if attributes.get("training_mode") or any(node.output[1:]):
        return "the training mode"
    return None


def _dropout(_: Draft, node: onnx.NodeProto, __: Attributes) -> str | None:
    return "the training mode" if len(node.input) > 2 and node.input[2] else None


def _conv_transpose(_: Draft, __: onnx.NodeProto, attributes: Attributes) -> str | None:
    return "the attribute output_shape" if "output_shape" in attributes else None


def _mod(draft: Draft, node: onnx.NodeProto, attributes: Attributes) -> str | None:
    is_float = draft.graph.element_type(node.output[0]) == onnx.TensorProto.FLOAT
    return "fmod 0 for float32" if is_float and not attributes.get("fmod") else None


def _roi_align(_: Draft, __: onnx.NodeProto, attributes: Attributes) -> str | None:
    return "the mode max" if attributes.get("mode", b"avg") == b"max" else None


def _space_to_depth(_: Draft, __: onnx.NodeProto, attributes: Attributes) -> str | None:
    return "the mode CRD" if attributes.get("mode", b"DCR") != b"DCR" else None


_LIMITS: dict[str, Callable[[Draft, onnx.NodeProto, Attributes], str | None]] = {
    "BatchNormalization": _batch_norm,
    "ConvTranspose": _conv_transpose,
    "Dropout": _dropout,
    "Mod": _mod,
    "Resize": _resize,
    "RoiAlign": _roi_align,
    "SpaceToDepth": _space_to_depth,
}
