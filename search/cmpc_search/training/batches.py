"""What a training reads: a step by its number, however its views are kept or made.

Shapes: N views of a step.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from cmpc_search.compatibility.base import Step
from cmpc_search.training.compute import CPU, Compute
from cmpc_search.training.settings import QueryTraining

__all__ = ["BatchSource", "Batches", "EpochOrder"]

SMALLEST_PART = 2  # a batch norm needs two values


class Batches(Protocol):
    """The steps of a training, each a function of its number alone."""

    @property
    def num_parts(self) -> int:
        """How many micro-batches every step has."""

    def at(self, number: int, part: int = 0) -> Step:
        """Return a micro-batch of the step with this number, both from 0.

        Its tensors are where they are computed on.
        """


class BatchSource(Protocol):
    """Views, however they are kept or made, from which trainings take their batches."""

    def batches(self, training: QueryTraining, *, seed: int, compute: Compute = CPU) -> Batches:
        """Return the steps of a training, in an order drawn from ``seed``."""


class EpochOrder:
    """Which items a step takes: each at most once an epoch.

    The order is drawn from ``seed`` and the epoch. It is kept until another epoch is asked for: of
    millions of items it takes longer than a small network's step.

    Attributes:
        num_parts: Micro-batches of a step: ``parts``, or as many as have two items each.
    """

    def __init__(self, num_items: int, batch_size: int, *, seed: int, parts: int = 1) -> None:
        self._num_items, self._batch_size, self._seed = num_items, batch_size, seed
        self.num_parts = max(1, min(parts, min(batch_size, num_items) // SMALLEST_PART))
        self._epoch, self._order = -1, np.arange(0)

    def at(self, number: int, part: int = 0) -> npt.NDArray[np.int64]:
        """Return positions int64 [N] among the items, those of one micro-batch."""
        per_epoch = max(1, self._num_items // self._batch_size)
        epoch, place = divmod(number, per_epoch)
        if epoch != self._epoch:
            rng = np.random.default_rng((self._seed, epoch))
            self._epoch, self._order = epoch, rng.permutation(self._num_items)
        chosen = self._order[place * self._batch_size : (place + 1) * self._batch_size]
        return chosen[part :: self.num_parts]
