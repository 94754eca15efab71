"""What is learnt: modules, the losses on a step, and how gradients come of them.

A task whose gradients are more than those of one sum (merged between sub-networks, reversed for an
adversary) overrides `backward`; one that keeps more than weights (their running average, say)
overrides `after_step`. What it keeps in buffers and sub-modules is in its checkpoints.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from cmpc_search.compatibility.base import Step

__all__ = ["Task"]


class Task(nn.Module, ABC):
    """Modules that learn together, and what they learn by."""

    @abstractmethod
    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """Return the terms to minimise the sum of: a scalar each, by name."""

    def backward(self, step: Step) -> Mapping[str, Tensor]:
        """Add the gradients of a micro-batch to the parameters', and return its losses by name."""
        losses = self.losses(step)
        torch.stack(tuple(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        return losses

    def rate_share(self, parameter_name: str) -> float:
        """Return what the learning rate is multiplied by for a parameter of this task."""
        return 1.0

    def after_step(self, step: Step) -> None:
        """Do what is to be done once the parameters have moved: nothing, most often."""
