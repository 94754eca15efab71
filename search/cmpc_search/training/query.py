"""Train the supernet of a space, and one query network on its own."""

import random
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from cmpc_base.progress import Progress
from cmpc_search.compatibility import CompatibilityMethod
from cmpc_search.networks.query import QueryNetwork
from cmpc_search.networks.supernet import Supernet
from cmpc_search.training.compute import use_channels_last
from cmpc_search.training.loop import Schedule, optimise
from cmpc_search.training.views import ViewBank

__all__ = [
    "PickTraining",
    "QueryTraining",
    "SupernetTraining",
    "train_query_network",
    "train_supernet",
]


class QueryTraining(BaseModel):
    """How a supernet or a query network is trained from the bank of views."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_steps: int = Field(ge=1, description="Updates in all.")
    batch_size: int = Field(128, ge=2, description="Views in a batch.")
    learning_rate: float = Field(3e-3, gt=0, le=1000)
    weight_decay: float = Field(0.01, ge=0, le=1000)

    def schedule(self, checkpoint: Path | None) -> Schedule:
        return Schedule(
            num_steps=self.num_steps,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            checkpoint=checkpoint,
        )


class _Learner(nn.Module):
    """A network and its compatibility method together, as the optimiser sees them."""

    def __init__(self, network: nn.Module, method: CompatibilityMethod) -> None:
        super().__init__()
        self.network = network
        self.method = method


class SupernetTraining(QueryTraining):
    """How the supernet is trained: long enough to tell architectures apart."""

    num_steps: int = Field(1700, ge=1, description="Updates in all.")


class PickTraining(QueryTraining):
    """How a picked network is trained on its own."""

    num_steps: int = Field(2200, ge=1, description="Updates in all.")


def train_supernet(
    supernet: Supernet,
    method: CompatibilityMethod,
    bank: ViewBank,
    training: QueryTraining,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> None:
    """Train ``supernet`` in place, one uniformly drawn path a step (SPOS, section 3.2).

    Goes on from ``checkpoint`` if it exists.

    Raises:
        BadRun: the checkpoint is not of this supernet, or the loss is not finite.
    """

    def loss_at(step: int) -> Tensor:
        architecture = supernet.space.sample(random.Random(f"{seed} {step}"))
        views, batch = bank.draw(step, training.batch_size, seed)
        return method.loss(supernet(views, architecture), batch)

    use_channels_last(supernet)
    learner = _Learner(supernet, method)
    optimise(learner.train(), loss_at, training.schedule(checkpoint), progress=progress)


def train_query_network(
    network: QueryNetwork,
    method: CompatibilityMethod,
    bank: ViewBank,
    training: QueryTraining,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> None:
    """Train ``network`` in place from its present weights; it is left in eval mode.

    Raises:
        BadRun: the checkpoint is not of this network, or the loss is not finite.
    """

    def loss_at(step: int) -> Tensor:
        views, batch = bank.draw(step, training.batch_size, seed)
        return method.loss(network(views), batch)

    use_channels_last(network)
    learner = _Learner(network, method)
    optimise(learner.train(), loss_at, training.schedule(checkpoint), progress=progress)
    network.eval()
