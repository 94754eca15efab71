"""The state of a training on disk: weights, and while it lasts what the optimiser remembers."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from cmpc_base.files import replacing
from cmpc_search.errors import BadRun
from cmpc_search.training.average import WeightAverage

__all__ = ["TrainingState", "restore", "store", "write_weights"]


@dataclass(frozen=True, slots=True)
class TrainingState:
    """What changes from step to step."""

    task: nn.Module
    optimiser: Optimizer
    average: WeightAverage | None = None


def store(path: Path, state: TrainingState, step: int) -> None:
    """Write the state after ``step`` steps."""
    tensors = {f"network.{name}": value for name, value in state.task.state_dict().items()}
    for index, memory in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in memory.items()}
    if state.average is not None:
        tensors |= {f"average.{name}": value for name, value in state.average.tensors.items()}
    _write(path, tensors, metadata={"step": str(step)})


def restore(path: Path | None, state: TrainingState) -> int:
    """Load the state, if there is one, and return the number of steps done.

    Raises:
        BadRun: it is damaged, or of another task.
    """
    if path is None or not path.exists():
        return 0
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            step = int((file.metadata() or {})["step"])
        state.task.load_state_dict(_under("network.", tensors))
        if state.average is not None:
            state.average.load(_under("average.", tensors))
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise BadRun(
            f"{path} must be a checkpoint of this network; delete it to start training again "
            f"({error})"
        ) from error
    groups = state.optimiser.param_groups
    parameters = [parameter for group in groups for parameter in group["params"]]
    memory: dict[int, dict[str, Tensor]] = {}
    for name, value in _under("optimiser.", tensors).items():
        index, key = name.split(".", 1)
        like = parameters[int(index)].detach()
        if value.shape == like.shape:  # laid out as the parameter: fused optimisers take it for so
            value = torch.empty_like(like).copy_(value)
        memory.setdefault(int(index), {})[key] = value
    state.optimiser.load_state_dict(state.optimiser.state_dict() | {"state": memory})
    return step


def write_weights(path: Path, network: nn.Module) -> None:
    """Write the weights and buffers of a network."""
    _write(path, network.state_dict())


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    contiguous = {name: value.contiguous() for name, value in tensors.items()}
    with replacing(path) as file:
        file.write(save(contiguous, metadata))


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
