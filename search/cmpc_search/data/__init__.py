"""Images for training, search and evaluation: sources, preparation, splits, one preprocessing."""

from cmpc_search.data.further import class_finder, further_classes
from cmpc_search.data.image_set import (
    NO_CLASS,
    ROLES,
    SPLITS,
    Dropped,
    DropReason,
    Drops,
    ImageSet,
    SetCounts,
    numbered_from_zero,
)
from cmpc_search.data.images import load_image
from cmpc_search.data.loading import gallery_item_names, load_image_set, load_templates
from cmpc_search.data.sources.base import TemplateLists
from cmpc_search.data.sources.catalogue import CATALOGUE, CatalogueEntry

__all__ = [
    "CATALOGUE",
    "NO_CLASS",
    "ROLES",
    "SPLITS",
    "CatalogueEntry",
    "DropReason",
    "Dropped",
    "Drops",
    "ImageSet",
    "SetCounts",
    "TemplateLists",
    "class_finder",
    "further_classes",
    "gallery_item_names",
    "load_image",
    "load_image_set",
    "load_templates",
    "numbered_from_zero",
]
