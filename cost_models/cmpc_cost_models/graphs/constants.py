"""Compute a node whose inputs are constants."""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from cmpc_cost_models.graphs.parts import Array

__all__ = ["evaluate"]


def evaluate(
    node: onnx.NodeProto, given: Mapping[str, Array], model: onnx.ModelProto
) -> dict[str, Array] | None:
    """Return the results of a node of ``model``; ``None`` if ONNX's reference doesn't do it.

    Args:
        given: What it reads, by name.
    """
    outputs = [name for name in node.output if name]
    function = helper.make_function(
        "cmpc", "constant", list(given), outputs, [node], model.opset_import
    )
    try:
        values = ReferenceEvaluator(function).run(None, dict(given), {})
    # The reference doesn't do every operator, and fails as each of them likes.
    except Exception:
        return None
    return {name: np.asarray(one) for name, one in zip(outputs, values, strict=True)}
