"""The kinds of augmentation by name; a new one is a new file and a row here. Naming them costs no
torch.
"""

from typing import TYPE_CHECKING

from cmpc_base.registry import Registry

if TYPE_CHECKING:
    from cmpc_search.training.augmentation.base import Augmentation

__all__ = ["AUGMENTATIONS"]

AUGMENTATIONS: "Registry[type[Augmentation]]" = Registry(
    "kind of augmentation",
    {
        "drawing": "cmpc_search.training.augmentation.drawing:Drawing",
        "photo": "cmpc_search.training.augmentation.photo:Photo",
    },
)
