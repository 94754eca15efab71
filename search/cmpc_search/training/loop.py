"""The training loop that everything here shares: steps, a schedule, checkpoints.

    batches --a Step--> task --gradients--> optimiser --> checkpoint, progress

One loop, three users: the gallery network, the supernet and a picked query network. A step's batch
and path are drawn from the seed and the step's number alone, so a run that was killed goes on from
its checkpoint as if nothing had happened.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from cmpc_search.errors import BadRun
from cmpc_search.training import checkpoint
from cmpc_search.training.batches import Batches
from cmpc_search.training.compute import CPU, Compute
from cmpc_search.training.execution import Execution
from cmpc_search.training.settings import Training
from cmpc_search.training.task import Task

__all__ = ["train"]

DECAYED_DIMENSIONS = 2  # biases and batch norms are not pulled to zero


def train(task: Task, batches: Batches, training: Training, execution: Execution) -> None:
    """Minimise the losses of ``task`` over ``batches``; its modules are left in eval mode.

    Goes on from the checkpoint if it exists. Weights that a step's path does not use at all get no
    update, weight decay included. The modules come back to this machine's processor.

    Raises:
        BadRun: the checkpoint belongs to another network, or a loss is no longer finite.
    """
    execution.compute.place_network(task).train()
    optimiser = _optimiser(task, training)
    first = checkpoint.restore(execution.checkpoint, task, optimiser)
    for number in range(first, training.num_steps):
        for group in optimiser.param_groups:
            group["lr"] = group["rate_share"] * training.rate_at(number)
        optimiser.zero_grad(set_to_none=True)
        step = batches.at(number)
        _check_finite(task.backward(step), number + 1, execution.compute)
        execution.compute.average_gradients(task)
        optimiser.step()
        task.after_step(step)
        _tell(execution, task, optimiser, done=number + 1, num_steps=training.num_steps)
    CPU.place_network(task).eval()


def _optimiser(task: Task, training: Training) -> torch.optim.AdamW:
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in task.named_parameters():
        if parameter.requires_grad:
            kind = (parameter.ndim >= DECAYED_DIMENSIONS, task.rate_share(name))
            groups.setdefault(kind, []).append(parameter)
    options = [
        {
            "params": parameters,
            "weight_decay": training.weight_decay if is_decayed else 0.0,
            "rate_share": rate_share,
        }
        for (is_decayed, rate_share), parameters in groups.items()
    ]
    return torch.optim.AdamW(options, lr=training.learning_rate)


def _check_finite(losses: Mapping[str, Tensor], step: int, compute: Compute) -> None:
    """Look at the losses of all processes with one transfer from the device."""
    found = torch.stack([loss.detach() for loss in losses.values()])
    compute.average(found)
    values = found.tolist()
    if not math.isfinite(sum(values)):
        told = ", ".join(f"{name} {value}" for name, value in zip(losses, values, strict=True))
        raise BadRun(
            f"the training loss must stay finite, got {sum(values)} at step {step} ({told}); "
            "lower the learning rate"
        )


def _tell(
    execution: Execution,
    task: Task,
    optimiser: torch.optim.Optimizer,
    *,
    done: int,
    num_steps: int,
) -> None:
    if not execution.compute.is_first:
        return
    if execution.checkpoint and done % execution.checkpoint_steps == 0:
        checkpoint.store(execution.checkpoint, task, optimiser, done)
    if execution.progress is not None:
        execution.progress(done, num_steps)
