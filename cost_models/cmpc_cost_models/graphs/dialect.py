"""Bring a model into the form of ONNX that the rules and the importer read.

Local functions become their nodes, sparse constants dense, and old operators new ones: up to
operator set 10, the sizes of slices and the like were attributes, which nobody reads any more.
"""

import numpy as np
import onnx
from onnx import inliner, numpy_helper, version_converter

from cmpc_cost_models.graphs.parts import opset_of, with_attributes

__all__ = ["in_known_dialect"]

OLDEST_OPSET = 7  # before it, broadcasting was an attribute and dropout had a test mode
NEW_OPSET = 13
# From which operator set on these have their present inputs.
SINCE = {"Resize": 11, "Slice": 10, "Upsample": 10}


def in_known_dialect(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return ``model`` without local functions, sparse constants and operators of old form.

    Raises:
        ValueError: its operators can't be brought into the present form.
    """
    if model.functions:
        model = inliner.inline_local_functions(model)
    if model.graph.sparse_initializer:
        model = _with_dense_constants(model)
    opset = opset_of(model)
    is_old = any(opset < SINCE.get(node.op_type, OLDEST_OPSET) for node in model.graph.node)
    return _in_new_opset(model, opset) if is_old else model


def _in_new_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    try:
        converted = version_converter.convert_version(model, NEW_OPSET)
    except Exception as error:  # of C++, without a class of its own
        raise ValueError(
            f"operator set {opset} can't be brought to {NEW_OPSET} ({error}); "
            f"export with operator set {NEW_OPSET} or later"
        ) from error
    if opset < SINCE["Resize"]:  # the converter forgets that they all were asymmetric
        how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        nodes = [
            with_attributes(node, **how) if node.op_type == "Resize" else node
            for node in converted.graph.node
        ]
        del converted.graph.node[:]
        converted.graph.node.extend(nodes)
    return converted


def _with_dense_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    result = onnx.ModelProto()
    result.CopyFrom(model)
    result.graph.initializer.extend(map(_dense, model.graph.sparse_initializer))
    del result.graph.sparse_initializer[:]
    return result


def _dense(sparse: onnx.SparseTensorProto) -> onnx.TensorProto:
    """Return the whole tensor; its indices are of the flat tensor, or one a number and axis."""
    values, indices = (numpy_helper.to_array(one) for one in (sparse.values, sparse.indices))
    dense = np.zeros(tuple(sparse.dims), values.dtype)
    if indices.ndim == 1:
        dense.flat[indices] = values
    else:
        dense[tuple(indices.T)] = values
    return numpy_helper.from_array(dense, sparse.values.name)
