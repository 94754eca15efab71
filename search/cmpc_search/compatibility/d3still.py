"""D3still: keep the differences between similarities, and so the order of the gallery.

Xie et al., CVPR 2024, "D3still: decoupled differential distillation for asymmetric image
retrieval". Over the batch, ``T = S(g, g)`` and ``C = S(q, g)``; of each view's k nearest others, in
the order of T, all pairs of similarities are subtracted, in T and in C alike:

    e = (dC - dT) / (0.1 + |dT|)
    loss = alpha |1 - q.g|_2 / N + beta mean |e where dC turns the order|_2 / k
                                 + gamma mean |e where it doesn't|_2 / k

The loss is 0 at ``q = g`` and nowhere less.
"""

import math
from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor

from cmpc_search.compatibility.base import Method, MethodSettings, Need, Step

__all__ = ["D3still", "D3stillSettings"]

LEAST_DIFFERENCE = 0.1


class D3stillSettings(MethodSettings):
    """What is set of D3still."""

    neighbours: int = Field(9, ge=2, le=1024, description="Views of the batch that are compared.")
    feature_weight: float = Field(50.0, ge=0, le=1e6, description="Weight of following itself.")
    turned_weight: float = Field(2.0, ge=0, le=1e6, description="Weight of pairs in wrong order.")
    kept_weight: float = Field(1.0, ge=0, le=1e6, description="Weight of pairs in right order.")


class D3still(Method):
    """Each view's own similarity, and the differences between those to its nearest others."""

    Settings = D3stillSettings
    settings: D3stillSettings
    needs = frozenset({Need.GALLERY_EMBEDDINGS})

    def losses(self, embeddings: Tensor, step: Step) -> Mapping[str, Tensor]:
        aim = step.gallery_embeddings
        assert aim is not None  # they are among the needs
        wanted, found = aim @ aim.T, embeddings @ aim.T
        settings = self.settings
        nearest = _nearest_others(wanted, settings.neighbours)
        target = _differences(wanted.gather(1, nearest))
        actual = _differences(found.gather(1, nearest))
        errors = (actual - target) / (LEAST_DIFFERENCE + target.abs())
        is_turned = actual * target < 0
        away = (wanted - found).diagonal()
        return {
            "feature": settings.feature_weight * _norm_over_batch(away, step),
            "turned": settings.turned_weight * _mean_norm(errors * is_turned, step),
            "kept": settings.kept_weight * _mean_norm(errors * ~is_turned, step),
        }


def _nearest_others(similarities: Tensor, count: int) -> Tensor:
    """Return int64 [N, k], the views nearest to each but for itself."""
    itself = torch.eye(len(similarities), dtype=torch.bool, device=similarities.device)
    others = similarities.masked_fill(itself, -torch.inf)
    return others.topk(min(count, len(similarities) - 1), dim=1).indices


def _differences(rows: Tensor) -> Tensor:
    """Return all pairwise differences of each row, float32 [N, k, k] for [N, k]."""
    return rows[:, :, None] - rows[:, None, :]


def _norm_over_batch(values: Tensor, step: Step) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(values * step.shares().sqrt())
    return norm / math.sqrt(len(values))


def _mean_norm(errors: Tensor, step: Step) -> Tensor:
    norms = torch.linalg.vector_norm(errors, dim=(1, 2))
    return step.mean(norms) / max(1, errors.shape[1])
