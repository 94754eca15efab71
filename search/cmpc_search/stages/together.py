"""How a stage asks other processes of this machine to train along: by an order for `helping`."""

from contextlib import AbstractContextManager

from cmpc_search.training.compute import Compute
from cmpc_search.training.launch import Order
from cmpc_search.training.processes import training_together
from cmpc_search.training.settings import Training

__all__ = ["together"]

HELPING = "cmpc_search.stages.helping"  # by name: it stands above the stages that ask it


def together(order: Order, training: Training) -> AbstractContextManager[Compute]:
    """Return `training_together` with the processes that `helping` makes."""
    return training_together(HELPING, order, training)
