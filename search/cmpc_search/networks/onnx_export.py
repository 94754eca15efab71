"""Write torch networks as ONNX: the form in which a network crosses to the cost models.

Nothing is traced. The plan says what to write, batch norms folded, so an export takes milliseconds.
Tests hold the written graph to the torch network through ONNX Runtime.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from cmpc_cost_models.graphs.writing import GraphWriter, fold_batch_norm
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.space.operations import (
    Activate,
    Activation,
    Add,
    Affine,
    Concat,
    Convolution,
    Linear,
    MaxPool,
    Mean,
    Normalise,
    Slice,
)
from cmpc_search.space.plan import PlanStep

__all__ = ["export_network"]


def export_network(network: PlanNetwork, path: Path) -> None:
    """Write ``network`` as ONNX: image float32 [1, 3, S, S] in [0, 1] -> unit embedding [1, D]."""
    plan = network.plan
    shape = (1, plan.image.channels, plan.image.size_px, plan.image.size_px)
    writer = GraphWriter(plan.name, shape)

    def write(step: PlanStep, values: list[str]) -> str:
        value = values[0]
        match step.operation:
            case Convolution() as layer:
                value = writer.conv(
                    value,
                    *_folded(network, step),
                    stride=layer.stride,
                    padding=layer.padding(writer.shape(value)[2]),
                    groups=layer.groups,
                )
                return _activate(writer, value, layer.activation)
            case Linear():
                weight, bias = _folded(network, step)
                return writer.dense(value, weight[:, :, 0, 0], bias)
            case Slice(start, every):
                return writer.slice_channels(value, start=start, step=every)
            case Concat():
                return writer.concat(values)
            case Add():
                return writer.add(*values)
            case Activate(kind):
                return _activate(writer, value, kind)
            case Affine(scale, shift):
                factors = np.full((2, writer.shape(value)[1]), [[scale], [shift]], np.float32)
                return writer.affine(value, *factors)
            case MaxPool(kernel, stride, padding):
                return writer.max_pool(value, kernel=kernel, stride=stride, padding=padding)
            case Mean():
                return writer.global_average_pool(value)
            case Normalise():
                return writer.l2_normalise(value)

    writer.save(path, plan.run(writer.input, write))


def _activate(writer: GraphWriter, value: str, kind: Activation | None) -> str:
    match kind:
        case "relu":
            return writer.relu(value)
        case "relu6":
            return writer.clip(value, 0.0, 6.0)
        case None:
            return value


def _folded(
    network: PlanNetwork, step: PlanStep
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return weight [O, I, kH, kW] (of a linear layer [O, I, 1, 1]) and bias [O] of a layer."""
    layer = network.layer(step)
    norm, weight = layer.norm, _array(layer.weight)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return fold_batch_norm(
        weight if weight.ndim == 4 else weight[:, :, None, None],
        (_array(norm.weight), _array(norm.bias)),
        (_array(norm.running_mean), _array(norm.running_var)),
        epsilon=norm.eps,
    )


def _array(tensor: Tensor) -> npt.NDArray[np.float32]:
    array: npt.NDArray[np.float32] = tensor.detach().contiguous().numpy()
    return array
