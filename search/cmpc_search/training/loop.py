"""The training loop that everything here shares: steps, a schedule, checkpoints.

One loop, three users: the gallery network, the supernet and a picked query network. A step's batch
and path are drawn from the seed and the step's number alone, so a run that was killed goes on from
its checkpoint as if nothing had happened.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from cmpc_base.files import replacing
from cmpc_base.progress import Progress
from cmpc_search.errors import BadRun

__all__ = ["Schedule", "optimise"]

WARM_UP_SHARE = 0.1
DECAYED_DIMENSIONS = 2  # biases and batch norms are not pulled to zero


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """AdamW with a linear warm-up and a cosine decay to zero.

    Attributes:
        num_steps: Updates in all.
        learning_rate: The greatest.
        checkpoint: Where the state is kept every ``checkpoint_steps``; None keeps none.
    """

    num_steps: int
    learning_rate: float
    weight_decay: float = 0.02
    checkpoint: Path | None = None
    checkpoint_steps: int = 250

    def rate_at(self, step: int) -> float:
        warm_up = max(1, round(self.num_steps * WARM_UP_SHARE))
        if step < warm_up:
            return self.learning_rate * (step + 1) / warm_up
        done = (step - warm_up) / max(1, self.num_steps - warm_up)
        return self.learning_rate * (1 + math.cos(math.pi * done)) / 2


def optimise(
    learner: nn.Module,
    loss_at: Callable[[int], Tensor],
    schedule: Schedule,
    *,
    progress: Progress | None = None,
) -> None:
    """Minimise ``loss_at(step)`` over the parameters of ``learner``, resuming from a checkpoint.

    Weights that a step's path does not use at all get no update, weight decay included.

    Raises:
        BadRun: the checkpoint belongs to another network, or the loss is no longer finite.
    """
    optimiser = _optimiser(learner, schedule)
    first = _restore(schedule.checkpoint, learner, optimiser)
    for step in range(first, schedule.num_steps):
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate_at(step)
        optimiser.zero_grad(set_to_none=True)
        loss = loss_at(step)
        _check_finite(loss, step + 1)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        done = step + 1
        if schedule.checkpoint and done % schedule.checkpoint_steps == 0:
            _store(schedule.checkpoint, learner, optimiser, done)
        if progress is not None:
            progress(done, schedule.num_steps)


def _optimiser(learner: nn.Module, schedule: Schedule) -> torch.optim.AdamW:
    learnt = [parameter for parameter in learner.parameters() if parameter.requires_grad]
    decayed = [one for one in learnt if one.ndim >= DECAYED_DIMENSIONS]
    free = [one for one in learnt if one.ndim < DECAYED_DIMENSIONS]
    groups = [
        {"params": decayed, "weight_decay": schedule.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=schedule.learning_rate)


def _check_finite(loss: Tensor, step: int) -> None:
    if not math.isfinite(loss.item()):
        raise BadRun(
            f"the training loss must stay finite, got {loss.item()} at step {step}; "
            "lower the learning rate"
        )


def _store(path: Path, learner: nn.Module, optimiser: torch.optim.AdamW, step: int) -> None:
    tensors = {f"network.{name}": value for name, value in learner.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in state.items()}
    contiguous = {name: value.contiguous() for name, value in tensors.items()}
    with replacing(path) as file:
        file.write(save(contiguous, metadata={"step": str(step)}))


def _restore(path: Path | None, learner: nn.Module, optimiser: torch.optim.AdamW) -> int:
    """Load the checkpoint, if there is one, and return the number of steps done."""
    if path is None or not path.exists():
        return 0
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            step = int((file.metadata() or {})["step"])
        learner.load_state_dict(_under("network.", tensors))
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise BadRun(
            f"{path} must be a checkpoint of this network; delete it to start training again "
            f"({error})"
        ) from error
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _under("optimiser.", tensors).items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    optimiser.load_state_dict(optimiser.state_dict() | {"state": state})
    return step


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
