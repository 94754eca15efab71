"""What every stage of a run works with: its data, its gallery and its space, found to fit."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cmpc_base.progress import OnNotice, Progress
from cmpc_search.compatibility.bank import GalleryBank
from cmpc_search.data import ImageSet, TemplateLists, load_image_set, numbered_from_zero
from cmpc_search.data.splits import ENOUGH_VALIDATION_CLASSES
from cmpc_search.embeddings import GALLERY_NETWORK_KEY, SPLIT_SEED_KEY
from cmpc_search.errors import BadData
from cmpc_search.gallery import Gallery, open_gallery
from cmpc_search.runs.evaluation import OtherData, SeenClasses
from cmpc_search.space.base import Space
from cmpc_search.stages.seen_classes import check_seen_classes
from cmpc_search.stages.settings import SearchSettings

__all__ = [
    "CROP_SHARE_KEY",
    "GALLERY_VIEWS_KEY",
    "SearchMaterial",
    "load_material",
    "ordered_material",
]

CROP_SHARE_KEY = "crop_share"
GALLERY_VIEWS_KEY = "gallery_views_per_item"


@dataclass(frozen=True, kw_only=True)
class SearchMaterial:
    """Data, gallery and space of a run, found to fit together.

    Attributes:
        image_set: The images at the size that query networks read.
        gallery_rows: The gallery network's embeddings of all of them, float32 [N, D].
        gallery_views_per_item: Of how many views of a gallery item they are the mean.
        gallery_bank: What compatibility methods may ask of the gallery side; its training images
            are those of ``image_set``, in their order.
        seen_classes: What the networks knew of the classes that they are tested on.
        other_data: What the images are of, where they are not the run's own; then only the rows of
            test images are embeddings, and the others are zeros.
        templates: Which of those images make one template, if any do.
    """

    settings: SearchSettings
    image_set: ImageSet
    gallery: Gallery
    gallery_rows: npt.NDArray[np.float32]
    gallery_views_per_item: int = 1
    gallery_bank: GalleryBank
    seen_classes: SeenClasses
    space: Space
    cache_dir: Path
    other_data: OtherData | None = None
    templates: TemplateLists | None = None
    _by_size: dict[int, ImageSet] = field(init=False, default_factory=dict, repr=False)

    def hashes(self) -> dict[str, str | int | float]:
        """Return what identifies the material of a run."""
        crop_share, num_views = self.gallery.crop_share, self.gallery_views_per_item
        cropped = {} if crop_share is None else {CROP_SHARE_KEY: crop_share}
        viewed = {} if num_views == 1 else {GALLERY_VIEWS_KEY: num_views}
        return {
            **cropped,
            **viewed,
            "data_sha256": self.image_set.sha256,
            SPLIT_SEED_KEY: self.gallery.split_seed,
            GALLERY_NETWORK_KEY: self.gallery.network_sha256,
        }

    @property
    def distractors(self) -> npt.NDArray[np.int64]:
        """The positions of gallery images of training classes that are no validation classes.

        In data whose classes are in every split there are none: such images would be right
        answers. Nor is an image without a class one, which may be of any.
        """
        images = self.image_set
        validated = np.unique(images.labels[images.select(split="validation")])
        training = images.select(split="train", role="gallery")
        labels = images.labels[training]
        return training[~np.isin(labels, validated) & (labels >= 0)]

    def images_at(self, size_px: int) -> ImageSet:
        """Return the images prepared at another size; architectures may differ in it.

        Raises:
            BadData: the data have changed since they were loaded.
        """
        known = self.image_set
        if size_px == known.size_px:
            return known
        if size_px not in self._by_size:
            self._by_size[size_px] = self.load_at(size_px)
        return self._by_size[size_px]

    def load_at(
        self, size_px: int, *, with_styles: bool = False, progress: Progress | None = None
    ) -> ImageSet:
        """Return the images at a size, read anew; in other styles as well, to train on.

        Raises:
            BadData: the data have changed since they were loaded.
        """
        known = self.image_set
        found = load_image_set(
            self.settings.data,
            size_px=size_px,
            crop_share=self.gallery.crop_share,
            cache_dir=self.cache_dir,
            seed=self.gallery.split_seed,
            with_styles=with_styles,
            may_only_test=known.only_tests,
            progress=progress,
        )
        if found.item_names != known.item_names or found.split.tolist() != known.split.tolist():
            raise BadData(
                f"{found.name} must hold the same items in the same splits at {size_px} px as at "
                f"{known.size_px} px; it changed meanwhile: begin again"
            )
        return found

    def order(self) -> dict[str, Any]:
        """Return what `ordered_material` loads the same from in another process."""
        return {
            "settings": self.settings.model_dump(mode="json"),
            "gallery": os.path.abspath(self.gallery.path),
            "cache_dir": os.path.abspath(self.cache_dir),
        }

    def note_on_validation(self) -> str:
        """Say in a line on how much candidates are judged, and whether that is little."""
        count = self.image_set.counts()["validation"]
        note = (
            f"candidates are judged on {count.num_classes} validation classes "
            f"({count.num_queries} queries x {self.settings.views_per_query} views, "
            f"{count.num_gallery} gallery images, {len(self.distractors)} distractors)"
        )
        if count.num_classes >= ENOUGH_VALIDATION_CLASSES:
            return note
        return (
            f"{note}: with fewer than {ENOUGH_VALIDATION_CLASSES} classes, rewards that are close "
            "say little about which network is better"
        )


def load_material(
    settings: SearchSettings,
    gallery_path: Path,
    *,
    cache_dir: Path,
    progress: Progress | None = None,
    on_notice: OnNotice | None = None,
) -> SearchMaterial:
    """Load everything that a search reads and check that it fits together.

    ``on_notice`` is told what the user should know of it.

    Raises:
        UnknownName: the data set or the space is unknown.
        BadGallery: the gallery is not of this data, or was trained on classes that are to test.
    """
    gallery = open_gallery(gallery_path)
    space = settings.search_space(gallery.embedding_dim)
    image_set = load_image_set(
        settings.data,
        size_px=space.input_size_px,
        crop_share=gallery.crop_share,
        cache_dir=cache_dir,
        # The split is the gallery's: what it was trained on must not test others.
        seed=gallery.split_seed,
        progress=progress,
        on_notice=on_notice,
    )
    seen_classes = check_seen_classes(gallery, image_set)
    rows = gallery.rows_of(image_set)
    return SearchMaterial(
        settings=settings,
        image_set=image_set,
        gallery=gallery,
        gallery_rows=rows,
        gallery_views_per_item=gallery.embeddings_of(image_set.item_names).views_per_item,
        gallery_bank=_gallery_bank(gallery, image_set, rows, on_notice),
        seen_classes=seen_classes,
        space=space,
        cache_dir=cache_dir,
    )


def ordered_material(order: Mapping[str, Any]) -> SearchMaterial:
    """Load what another process told of its material."""
    return load_material(
        SearchSettings.model_validate(order["settings"]),
        Path(order["gallery"]),
        cache_dir=Path(order["cache_dir"]),
    )


def _gallery_bank(
    gallery: Gallery,
    image_set: ImageSet,
    rows: npt.NDArray[np.float32],
    on_notice: OnNotice | None,
) -> GalleryBank:
    positions = image_set.select(split="train")
    labels = numbered_from_zero(image_set.labels[positions])
    return GalleryBank(
        embeddings=torch.from_numpy(rows[positions]),
        labels=torch.from_numpy(labels),
        classifier=gallery.classifier_of(image_set, on_notice=on_notice),
        is_query=torch.from_numpy(image_set.is_query[positions]),
    )
