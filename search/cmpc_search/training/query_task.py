"""What query networks learn: to be compatible with a gallery, as a method says."""

import random
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from cmpc_search.compatibility.base import Method, Step
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.networks.shared import Supernet
from cmpc_search.space.base import Architecture
from cmpc_search.space.drawing import MacBins
from cmpc_search.training.settings import SupernetTraining
from cmpc_search.training.task import Task

__all__ = ["QueryTask", "SupernetTask"]

DISTILLATION = "distillation"


class QueryTask(Task):
    """A query network and its compatibility method together."""

    def __init__(self, network: PlanNetwork, method: Method) -> None:
        super().__init__()
        self.network = network
        self.method = method

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        return self.method.losses(self.network(step.views), step)


class SupernetTask(Task):
    """A supernet, of which each step trains a few paths, each on all views of the step.

    The paths are drawn such that cheap and dear ones come alike often (`MacBins`), or as a sandwich
    (Yu & Huang, ICCV 2019; Yu et al., BigNAS, ECCV 2020): the largest and the smallest path beside
    those that are drawn, and all but the largest also follow the embeddings that it gives. Which
    they are depends on the seed and on the step's number alone.
    """

    def __init__(
        self,
        supernet: Supernet,
        method: Method,
        training: SupernetTraining,
        *,
        seed: int,
        max_macs: int | None = None,
    ) -> None:
        super().__init__()
        self.network = supernet
        self.method = method
        self._training = training
        self._seed = seed
        self._bins = MacBins(supernet.space, max_macs)

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        return _added(self._losses_of_paths(step))

    def backward(self, step: Step) -> Mapping[str, Tensor]:
        """Do as all tasks do, a path after the other, of which only one is in memory."""
        return _added(map(_with_gradients, self._losses_of_paths(step)))

    def _losses_of_paths(self, step: Step) -> Iterator[dict[str, Tensor]]:
        largest: Tensor | None = None
        for path in self.paths(step.number):
            embeddings = self.network(step.views, path)
            losses = dict(self.method.losses(embeddings, step))
            if largest is not None:
                apart = 1 - (embeddings * largest).sum(dim=1)
                losses[DISTILLATION] = self._training.distillation_weight * apart.mean()
            elif self._training.sandwich:
                largest = embeddings.detach()
            yield losses

    def paths(self, number: int) -> list[Architecture]:
        rng = random.Random(f"{self._seed} {number}")
        drawn = [self._bins.draw(rng) for _ in range(self._training.random_paths)]
        ends = [self._bins.largest, self._bins.smallest] if self._training.sandwich else []
        return ends + drawn


def _with_gradients(losses: dict[str, Tensor]) -> dict[str, Tensor]:
    """Add the gradients of the losses to those of the parameters, and let go what led to them."""
    torch.stack(tuple(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    return {name: loss.detach() for name, loss in losses.items()}


def _added(losses: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the sums of the losses of several paths, by name."""
    total: dict[str, Tensor] = {}
    for name, loss in (item for one in losses for item in one.items()):
        total[name] = total[name] + loss if name in total else loss
    return total
