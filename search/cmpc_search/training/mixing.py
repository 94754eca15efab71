"""Views of two images at once: no class, but the gallery network has an opinion on them too.

A query network that agrees with it there agrees with it on classes that nobody trained on. Parts of
one view are pasted into another (CutMix, Yun et al., ICCV 2019), or the two are blended (MixUp,
Zhang et al., ICLR 2018).

Shapes: N views, S pixels a side.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from cmpc_search.training.augmentation.patches import patches
from cmpc_search.training.draws import Draws

__all__ = ["NO_MIXING", "Mixing"]

PASTED_AREA = (0.2, 0.7)  # of all patches together
BLENDED_SHARE = (0.1, 0.5)  # of the other view


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixing:
    """Which views show two images, and how.

    Attributes:
        share: Of the views that do.
        max_patches: Parts of the other view that are pasted at most.
        blended_share: Of these views, those that are blended instead.
    """

    share: float = 0.0
    max_patches: int = 1
    blended_share: float = 0.0

    def __call__(self, views: Tensor, others: Tensor, draws: Draws) -> Tensor:
        """float32 [N, 3, S, S], [N, 3, S, S] -> views that show both."""
        is_blended = draws.happens(self.blended_share)
        strength = draws.between(*BLENDED_SHARE) * is_blended
        blended = views + (others - views) * strength[:, None, None, None]
        is_pasted = self._pasted(draws, views.shape[-1]) & ~is_blended[:, None, None]
        return torch.where(is_pasted[:, None], others, blended)

    def _pasted(self, draws: Draws, size_px: int) -> Tensor:
        area = draws.between(*PASTED_AREA)[:, None]
        num_patches = (draws.below(self.max_patches) + 1)[:, None]
        is_patch = torch.arange(self.max_patches, device=area.device) < num_patches
        return patches(draws, area / num_patches * is_patch, size_px)


NO_MIXING = Mixing()
