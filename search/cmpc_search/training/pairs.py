"""Batches of pairs: one augmented image of each role of each of a step's classes.

Shapes: B classes of a step, S pixels a side.
"""

import numpy as np
import numpy.typing as npt
import torch

from cmpc_search.compatibility.base import Step
from cmpc_search.data import ImageSet
from cmpc_search.errors import BadData
from cmpc_search.pixels import to_float
from cmpc_search.training.augmentation import Augmentation
from cmpc_search.training.batches import EpochOrder
from cmpc_search.training.compute import Compute
from cmpc_search.training.settings import GalleryTraining

__all__ = ["PairBatches"]


class PairBatches:
    """2 B views a step, those of query roles first; the training images are read where they are.

    Raises:
        BadData: fewer than two training classes have images of both roles.
    """

    def __init__(
        self, image_set: ImageSet, training: GalleryTraining, *, seed: int, compute: Compute
    ) -> None:
        self._images, self._seed, self._compute = image_set.images, seed, compute
        self._num_steps = training.num_steps
        queries = _by_class(image_set, "query")
        gallery = _by_class(image_set, "gallery")
        classes = sorted(queries.keys() | gallery.keys())
        self.num_classes = len(classes)
        self._pairs = [
            (label, queries[name], gallery[name])
            for label, name in enumerate(classes)
            if name in queries and name in gallery
        ]
        if len(self._pairs) < 2:
            raise BadData(
                "at least two training classes must have images of both roles, "
                f"got {len(self._pairs)} of {self.num_classes}"
            )
        batch_size = min(training.classes_per_batch, len(self._pairs))
        self._order = EpochOrder(
            len(self._pairs), batch_size, seed=seed, parts=training.micro_batches
        )
        self.num_parts = self._order.num_parts
        self._augment = Augmentation()

    def at(self, number: int, part: int = 0) -> Step:
        chosen = [self._pairs[one] for one in self._order.at(number, part)]
        rng = np.random.default_rng((self._seed, 1, number, part))
        picked = [rng.choice(pair[1]) for pair in chosen] + [rng.choice(pair[2]) for pair in chosen]
        images = to_float(torch.from_numpy(np.ascontiguousarray(self._images[picked])))
        generator = self._compute.generator(
            (self._seed * 1_000_003 + number) * self.num_parts + part
        )
        labels = torch.tensor([pair[0] for pair in chosen]).repeat(2)
        return Step(
            number=number,
            progress=number / self._num_steps,
            views=self._compute.place(self._augment(self._compute.place(images), generator)),
            item_ids=self._compute.place(torch.from_numpy(np.array(picked))),
            labels=self._compute.place(labels),
        )


def _by_class(image_set: ImageSet, role: str) -> dict[int, npt.NDArray[np.int64]]:
    """Return the positions of the training images of a role, by class."""
    positions = image_set.select(split="train", role=role)
    labels = image_set.labels[positions]
    return {int(label): positions[labels == label] for label in image_set.labels_in(positions)}
