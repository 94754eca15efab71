"""A weighted sum of methods is a method."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from cmpc_search.compatibility.bank import NO_LABEL, GalleryBank
from cmpc_search.compatibility.base import Method, MethodSettings, Need, Step

__all__ = ["Sum"]

JUDGED = frozenset({Need.LABELS, Need.CLASSIFIER, Need.GALLERY_EMBEDDINGS})
"""What it takes to tell of which views the gallery network gets the class wrong."""


class Sum(Method):
    """Methods side by side: it needs what any of them needs, and its terms are theirs.

    A part may count the views less that the gallery network itself gets wrong, so that the query
    network takes over what the gallery knows and not where it errs (Zhang et al., AAAI 2023,
    "Darwinian model upgrades", weigh by how well the old feature tells classes apart).
    """

    def __init__(self, parts: Mapping[str, Method]) -> None:
        super().__init__(MethodSettings())
        self.parts = nn.ModuleDict(parts)
        self.needs = frozenset[Need]().union(*map(_needs_of, parts.values()))
        self.fewest_views = max(part.fewest_views for part in parts.values())

    def prepare(self, bank: GalleryBank) -> None:
        for _, part in self._methods():
            part.prepare(bank)
        if any(_is_judging(part) for _, part in self._methods()):
            self.register_buffer("directions", bank.class_directions, persistent=False)

    def losses(self, embeddings: Tensor, step: Step) -> Mapping[str, Tensor]:
        return {
            f"{name} {term}": part.settings.weight * loss
            for name, part in self._methods()
            for term, loss in part.losses(embeddings, self._weighed(step, part)).items()
        }

    def _weighed(self, step: Step, part: Method) -> Step:
        if not _is_judging(part):
            return step
        assert step.labels is not None  # all three are among the needs
        assert step.gallery_embeddings is not None
        ranked_first = (step.gallery_embeddings @ self.get_buffer("directions").T).argmax(dim=1)
        is_wrong = (step.labels != NO_LABEL) & (ranked_first != step.labels)
        weights = torch.where(is_wrong, part.settings.wrong_weight, 1.0)
        return replace(step, weights=weights * (1.0 if step.weights is None else step.weights))

    def _methods(self) -> Iterable[tuple[str, Method]]:
        return cast(Iterable[tuple[str, Method]], self.parts.items())


def _is_judging(part: Method) -> bool:
    return part.settings.wrong_weight < 1


def _needs_of(part: Method) -> frozenset[Need]:
    return part.needs | JUDGED if _is_judging(part) else part.needs
