"""What query networks learn: to be compatible with a gallery, as a method says."""

import random
from collections.abc import Mapping

from torch import Tensor

from cmpc_search.compatibility.base import Method, Step
from cmpc_search.networks.plan_network import PlanNetwork
from cmpc_search.networks.shared import Supernet
from cmpc_search.training.task import Task

__all__ = ["QueryTask", "SupernetTask"]


class QueryTask(Task):
    """A query network and its compatibility method together."""

    def __init__(self, network: PlanNetwork, method: Method) -> None:
        super().__init__()
        self.network = network
        self.method = method

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        return self.method.losses(self.network(step.views), step)


class SupernetTask(Task):
    """A supernet, of which each step trains one uniformly drawn path (SPOS, section 3.2)."""

    def __init__(self, supernet: Supernet, method: Method, *, seed: int) -> None:
        super().__init__()
        self.network = supernet
        self.method = method
        self.seed = seed

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        drawn = random.Random(f"{self.seed} {step.number}")
        architecture = self.network.space.sample(drawn)
        return self.method.losses(self.network(step.views, architecture), step)
