"""A weighted sum of methods is a method."""

from collections.abc import Iterable, Mapping
from typing import cast

from torch import Tensor, nn

from cmpc_search.compatibility.bank import GalleryBank
from cmpc_search.compatibility.base import Method, Need, Step

__all__ = ["Sum"]


class Sum(Method):
    """Methods side by side: it needs what any of them needs, and its terms are theirs."""

    def __init__(
        self, parts: Mapping[str, Method], *, weights: Mapping[str, float] | None = None
    ) -> None:
        """Take methods by name, and the weights of those whose weight is not 1."""
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.weights = dict.fromkeys(parts, 1.0) | dict(weights or {})
        self.needs = frozenset[Need]().union(*(part.needs for part in parts.values()))

    def prepare(self, bank: GalleryBank) -> None:
        for _, part in self._methods():
            part.prepare(bank)

    def losses(self, embeddings: Tensor, step: Step) -> Mapping[str, Tensor]:
        return {
            f"{name} {term}": self.weights[name] * loss
            for name, part in self._methods()
            for term, loss in part.losses(embeddings, step).items()
        }

    def _methods(self) -> Iterable[tuple[str, Method]]:
        return cast(Iterable[tuple[str, Method]], self.parts.items())
