"""The search itself as a loss: find the gallery items of a view's class among all there are.

A query network is judged by whether its embedding of a query lies nearest to the gallery network's
embedding of an item of the same class. All these rows are constants, so each step can rank the
whole gallery side of the training images, not only the batch:

    loss = -log(sum over rows of the class of exp(s q.a) / sum over all rows of exp(s q.a))

It is the softmax of neighbourhood component analysis (Goldberger et al., NIPS 2004, equation 1)
with positives of the other role only, as `cmpc gallery train` contrasts the roles.
"""

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor

from cmpc_search.compatibility.bank import GalleryBank
from cmpc_search.compatibility.base import NO_LABEL, Method, MethodSettings, Need, Step

__all__ = ["CrossRole", "CrossRoleSettings"]


class CrossRoleSettings(MethodSettings):
    """What is set of the contrast across roles."""

    scale: float = Field(16.0, gt=0, le=1e6, description="Inverse temperature.")


class CrossRole(Method):
    """Softmax over all gallery rows, with those of the view's class as the right ones."""

    Settings = CrossRoleSettings
    settings: CrossRoleSettings
    needs = frozenset({Need.LABELS})

    def prepare(self, bank: GalleryBank) -> None:
        assert bank.labels is not None  # they are among the needs
        self.register_buffer("rows", bank.gallery_rows, persistent=False)
        row_labels = bank.labels[bank.gallery_positions]
        self.register_buffer("row_labels", row_labels, persistent=False)

    def losses(self, embeddings: Tensor, step: Step) -> Mapping[str, Tensor]:
        labels = step.labels
        assert labels is not None
        scores = self.settings.scale * embeddings @ self.get_buffer("rows").T
        is_right = self.get_buffer("row_labels") == labels[:, None]
        has_answer = (labels != NO_LABEL) & is_right.any(dim=1)
        # A view without an answer counts for nothing, and must not count infinitely either.
        right = scores.masked_fill(~is_right & has_answer[:, None], -torch.inf)
        each = torch.logsumexp(scores, dim=1) - torch.logsumexp(right, dim=1)
        return {"rank": step.mean(each, has_answer)}
