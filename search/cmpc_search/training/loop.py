"""The training loop that everything here shares: steps, a schedule, checkpoints.

    batches --micro-batches--> task --mean gradients--> optimiser --> checkpoint, progress

One loop, three users: the gallery network, the supernet and a picked query network. A step's batch
and path are drawn from the seed and the step's number alone, so a run that was killed goes on from
its checkpoint as if nothing had happened.
"""

import math
from collections.abc import Mapping

import torch
from torch import nn

from cmpc_search.compatibility.base import Step
from cmpc_search.errors import BadRun
from cmpc_search.training import checkpoint
from cmpc_search.training.average import WeightAverage
from cmpc_search.training.batches import Batches
from cmpc_search.training.checkpoint import TrainingState
from cmpc_search.training.compute import CPU, Compute
from cmpc_search.training.execution import Execution
from cmpc_search.training.settings import Training
from cmpc_search.training.task import Task

__all__ = ["train"]

DECAYED_DIMENSIONS = 2  # biases and batch norms are not pulled to zero


def train(task: Task, batches: Batches, training: Training, execution: Execution) -> None:
    """Minimise the losses of ``task`` over ``batches``; its modules are left in eval mode.

    Goes on from the checkpoint if it exists. Weights that a step's path does not use at all get no
    update, weight decay included. The modules come back to this machine's processor, with the
    average of their weights where one is kept.

    Raises:
        BadRun: the checkpoint belongs to another network, or a loss is no longer finite.
    """
    execution.compute.place_network(task).train()
    average = WeightAverage(task, training.ema_decay) if training.ema_decay else None
    state = TrainingState(task, _optimiser(task, training), average)
    first = checkpoint.restore(execution.checkpoint, state)
    _check_together(first, batches, execution.compute)
    for number in range(first, training.num_steps):
        for group in state.optimiser.param_groups:
            group["lr"] = group["rate_share"] * training.rate_at(number)
        state.optimiser.zero_grad(set_to_none=True)
        last = _leave_gradients(task, batches, number, execution.compute)
        if training.clip_norm is not None:
            nn.utils.clip_grad_norm_(task.parameters(), training.clip_norm)
        state.optimiser.step()
        task.after_step(last)
        if average is not None:
            average.update(number)
        _tell(execution, state, done=number + 1, num_steps=training.num_steps)
    if average is not None:
        average.put_in_place()
    CPU.place_network(task).eval()


def _check_together(first: int, batches: Batches, compute: Compute) -> None:
    if batches.num_parts % compute.world:
        raise BadRun(
            f"processes that train together must have as many micro-batches each, got "
            f"{compute.world} processes for {batches.num_parts}; take fewer processes"
        )
    mean = compute.place(torch.tensor([float(first)]))
    compute.average([mean], compute.world)
    if mean.item() != first:
        raise BadRun(
            f"processes that train together must begin at the same step, got {first} and others; "
            "let them read the same folders"
        )


def _leave_gradients(task: Task, batches: Batches, number: int, compute: Compute) -> Step:
    """Leave the mean gradients of a step's micro-batches, and return the last one of them."""
    found = []
    for part in compute.parts(batches.num_parts):
        step = batches.at(number, part)
        losses = task.backward(step)
        found.append(torch.stack([loss.detach() for loss in losses.values()]))
    total = torch.stack(found).sum(0)
    gradients = [one.grad for one in task.parameters() if one.grad is not None]
    compute.average([total, *gradients], batches.num_parts)
    _check_finite(dict(zip(losses, total.tolist(), strict=True)), number + 1)
    return step


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
    return torch.optim.AdamW(options, lr=training.learning_rate, fused=True)


def _check_finite(losses: Mapping[str, float], step: int) -> None:
    if not math.isfinite(sum(losses.values())):
        told = ", ".join(f"{name} {value}" for name, value in losses.items())
        raise BadRun(
            f"the training loss must stay finite, got {sum(losses.values())} at step {step} "
            f"({told}); lower the learning rate"
        )


def _tell(execution: Execution, state: TrainingState, *, done: int, num_steps: int) -> None:
    if not execution.compute.is_first:
        return
    if execution.checkpoint and done % execution.checkpoint_steps == 0:
        checkpoint.store(execution.checkpoint, state, done)
    if execution.progress is not None:
        execution.progress(done, num_steps)
