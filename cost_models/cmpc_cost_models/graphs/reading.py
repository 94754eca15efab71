"""Read an ONNX file: checked, cleaned, with the shapes of its tensors."""

from pathlib import Path

import onnx

from cmpc_cost_models.errors import BadNetworkFile
from cmpc_cost_models.graphs.cleaning import clean_model
from cmpc_cost_models.graphs.parts import Shape, is_fixed, static_shapes

__all__ = ["input_and_output_shape", "known_shapes", "load_graph"]


def load_graph(onnx_path: Path) -> onnx.ModelProto:
    """Read an ONNX file, check it and clean it: see ``graphs.cleaning``.

    All tensors whose shapes follow from the graph have them. A batch whose size the file leaves
    open, as exporters write it by default, is one image.

    Raises:
        BadNetworkFile: it is missing or no valid ONNX.
    """
    try:
        model = onnx.load(onnx_path)
        onnx.checker.check_model(model)
        _fix_batch(model)
        return clean_model(model)
    except OSError as error:
        raise BadNetworkFile(f"{onnx_path} can't be read: {error.strerror}") from error
    # protobuf's own DecodeError has no stable home to import it from
    except Exception as error:
        raise BadNetworkFile(f"{onnx_path} must be a valid ONNX file: {error}") from error


def _fix_batch(model: onnx.ModelProto) -> None:
    """Make the batch of a model one where its inputs leave their first size open."""
    inputs, outputs = (
        [value.type.tensor_type.shape for value in values]
        for values in (model.graph.input, model.graph.output)
    )
    batches = [shape.dim[0] for shape in inputs if shape.dim]
    names = {one.dim_param for one in batches if not is_fixed(one)} - {""}
    same = (size for shape in (*inputs, *outputs) for size in shape.dim if size.dim_param in names)
    for size in (*(one for one in batches if not is_fixed(one)), *same):
        size.dim_value = 1


def input_and_output_shape(model: onnx.ModelProto) -> tuple[Shape, Shape]:
    """Return the shapes of a network's one input and one output.

    Raises:
        BadNetworkFile: there are more, or they are not float32 of fixed sizes.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    outputs = list(model.graph.output)
    if len(inputs) != 1 or len(outputs) != 1 or not all(map(_is_usable, (*inputs, *outputs))):
        given, wanted = (", ".join(map(_described, values)) for values in (inputs, outputs))
        raise BadNetworkFile(
            "a network must have one input and one output, both float32 and of fixed sizes of at "
            f"least one, got inputs {given or 'none'} and outputs {wanted or 'none'}; "
            "export it so, without other outputs and computed sizes"
        )
    shapes = known_shapes(model)
    return shapes[inputs[0].name], shapes[outputs[0].name]


def _is_usable(value: onnx.ValueInfoProto) -> bool:
    """Return whether an input or output is a tensor that a compiled network takes or gives."""
    shape = dict(static_shapes([value])).get(value.name, ())
    is_float = value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    return is_float and len(shape) > 0 and min(shape) > 0


def _described(value: onnx.ValueInfoProto) -> str:
    """Return name, type and sizes of a tensor, as in ``x: float32 [batch, 3, 224, 224]``."""
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        return f"{value.name}: no tensor"
    sizes = [
        size.dim_param or (str(size.dim_value) if size.HasField("dim_value") else "?")
        for size in tensor.shape.dim
    ]
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type) if tensor.elem_type else "?"
    return f"{value.name}: {kind} [{', '.join(sizes)}]"


def known_shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    """Return the shapes of all tensors for which they are wholly known."""
    graph = model.graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    return shapes | dict(static_shapes((*graph.input, *graph.value_info, *graph.output)))
