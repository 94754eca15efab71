"""The running average of weights: what is kept of a training instead of the last step's.

    average <- d average + (1 - d) weights,   d = min(decay, (1 + t) / (10 + t)) at step t

so that the first weights, drawn at random, are soon forgotten. Parameters that learn are averaged,
and the statistics of batch norms with them.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_ema_multi_avg_fn

__all__ = ["WeightAverage"]


class WeightAverage:
    """The average of a module's weights, from those it has now on."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay, self._weights = decay, _weights_of(module)
        self.tensors = {name: value.clone() for name, value in self._weights.items()}

    def update(self, step: int) -> None:
        """Take in the weights after the step with this number, from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        average(tuple(self.tensors.values()), tuple(self._weights.values()), step)

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from another average of the same module.

        Raises:
            KeyError, RuntimeError: it is of another module.
        """
        for name, value in self.tensors.items():
            value.copy_(tensors[name])

    @torch.no_grad()
    def put_in_place(self) -> None:
        """Give the module the average for its weights."""
        for name, value in self._weights.items():
            value.copy_(self.tensors[name])


def _weights_of(module: nn.Module) -> dict[str, Tensor]:
    learnt = {
        name: value.detach() for name, value in module.named_parameters() if value.requires_grad
    }
    for above, norm in module.named_modules():
        if isinstance(norm, _BatchNorm):
            named = norm.named_buffers(prefix=above)
            learnt |= {name: value for name, value in named if value.is_floating_point()}
    return learnt
