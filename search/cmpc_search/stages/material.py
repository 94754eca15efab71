"""What every stage of a run reads: its data, its gallery, its space, and the bank of views."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from cmpc_base.cache import Cache
from cmpc_base.files import replacing
from cmpc_base.hashing import document_hash
from cmpc_base.leftovers import sweep
from cmpc_base.progress import Progress
from cmpc_cost_models import Target
from cmpc_cost_models.targets.table import find_target, target_names
from cmpc_search.compatibility.base import NO_LABEL
from cmpc_search.data import CATALOGUE, ImageSet, load_image_set
from cmpc_search.data.splits import ENOUGH_VALIDATION_CLASSES
from cmpc_search.embeddings import SPLIT_SEED_KEY
from cmpc_search.errors import BadData, BadGallery, BadRun
from cmpc_search.gallery import Gallery, open_gallery
from cmpc_search.gallery.classifier import training_classes
from cmpc_search.json_records import first_complaint
from cmpc_search.runs import RunFolder
from cmpc_search.space import Space, load_space
from cmpc_search.stages.seen_classes import SeenClasses, check_seen_classes
from cmpc_search.stages.settings import SearchSettings
from cmpc_search.training.augmentation import Augmentation
from cmpc_search.training.views import ViewBank, ViewSettings, make_views

__all__ = [
    "SearchMaterial",
    "load_material",
    "load_run_material",
    "place_facts",
    "search_settings_of",
    "target_facts",
    "target_of",
]

TARGET_KEY = "target"
GALLERY_PATH_KEY = "gallery_path"


@dataclass(frozen=True, kw_only=True)
class SearchMaterial:
    """Data, gallery and space of a run, found to fit together.

    Attributes:
        image_set: The images at the size that query networks read.
        gallery_rows: The gallery network's embeddings of all of them, float32 [N, D].
        directions: The gallery classifier, float32 [C, D], a row for each training class.
        seen_classes: What the networks knew of the classes that they are tested on.
    """

    settings: SearchSettings
    image_set: ImageSet
    gallery: Gallery
    gallery_rows: npt.NDArray[np.float32]
    directions: Tensor
    seen_classes: SeenClasses
    space: Space
    cache_dir: Path

    def hashes(self) -> dict[str, str | int]:
        """Return what identifies the material of a run."""
        return {
            "data_sha256": self.image_set.sha256,
            SPLIT_SEED_KEY: self.gallery.split_seed,
            "gallery_network_sha256": self.gallery.network_sha256,
        }

    def note_on_validation(self) -> str:
        """Say in a line on how much candidates are judged, and whether that is little."""
        count = self.image_set.counts()["validation"]
        note = (
            f"candidates are judged on {count.num_classes} validation classes "
            f"({count.num_queries} queries, {count.num_gallery} gallery images)"
        )
        if count.num_classes >= ENOUGH_VALIDATION_CLASSES:
            return note
        return (
            f"{note}: with fewer than {ENOUGH_VALIDATION_CLASSES} classes, rewards that are close "
            "say little about which network is better"
        )

    def view_bank(self, progress: Progress | None = None) -> ViewBank:
        """Return the bank of views, from the cache if it was made before."""
        cache = Cache(self.cache_dir)
        path = cache.views / f"{self._view_key()}.safetensors"
        cache.mark_used(path)
        if path.exists():
            try:
                return ViewBank(**load_file(path))
            except (SafetensorError, OSError, TypeError):
                path.unlink()  # damaged: made again below
        sweep(path.parent)  # a bank that a kill cut off may fill gigabytes
        bank = self._make_views(progress)
        tensors = {"views": bank.views, "labels": bank.labels, "targets": bank.targets}
        with replacing(path) as file:
            save_file(tensors, file.name)  # by name: as bytes they would be in memory twice
        return bank

    def _view_key(self) -> str:
        settings = self.settings
        # Ready embeddings may name the network that gave them, and aim views elsewhere than it.
        mixed_share = settings.mixed_share if self.gallery.has_network else "ready embeddings"
        parts = [self.space.input_size_px, settings.views_per_image, mixed_share, settings.seed]
        return document_hash([*parts, self.hashes(), asdict(Augmentation())])[:20]

    def _make_views(self, progress: Progress | None) -> ViewBank:
        has_network = self.gallery.has_network
        size_px = self.gallery.input_size_px if has_network else self.space.input_size_px
        image_set = _load(self.settings.data, self.gallery, size_px, self.cache_dir)
        _check_same_items(image_set, self.image_set)
        if has_network:
            self.gallery.check_current(image_set)
        positions = image_set.select(split="train")
        kept = self.gallery_rows[positions]

        def embed(
            views: npt.NDArray[np.uint8], shown: npt.NDArray[np.int64]
        ) -> npt.NDArray[np.float32]:
            if has_network:
                names = [image_set.item_names[positions[image]] for image in shown]
                return self.gallery.embed(views, names, is_mixed=True)
            return kept[shown]  # ready embeddings: every view aims at its image's own

        settings = ViewSettings(
            views_per_image=self.settings.views_per_image,
            # Without a network nobody knows what a view of two images should be.
            mixed_share=self.settings.mixed_share if has_network else 0.0,
            size_px=self.space.input_size_px,
        )
        labels = self._classifier_rows(image_set)[positions]
        images = np.ascontiguousarray(image_set.images[positions])
        return make_views(
            images, labels, embed, settings, seed=self.settings.seed, progress=progress
        )

    def _classifier_rows(self, image_set: ImageSet) -> npt.NDArray[np.int64]:
        """Return each image's row of `directions`, by its class's name; NO_LABEL where none is."""
        rows = {name: row for row, name in enumerate(training_classes(self.image_set))}
        by_label = np.array([rows.get(name, NO_LABEL) for name in image_set.class_names], np.int64)
        return by_label[image_set.labels]


def load_material(
    settings: SearchSettings,
    gallery_path: Path,
    *,
    cache_dir: Path,
    progress: Progress | None = None,
) -> SearchMaterial:
    """Load everything that a search reads and check that it fits together.

    Raises:
        UnknownName: the data set or the space is unknown.
        BadGallery: the gallery is not of this data, or was trained on classes that are to test.
    """
    gallery = open_gallery(gallery_path)
    space = load_space(settings.space, embedding_dim=gallery.embedding_dim)
    image_set = _load(settings.data, gallery, space.input_size_px, cache_dir, progress)
    seen_classes = check_seen_classes(gallery, image_set)
    rows = gallery.rows_of(image_set)
    if rows.shape[1] != gallery.embedding_dim:
        raise BadGallery(
            f"embeddings of {gallery.path} must have {gallery.embedding_dim} values, "
            f"got {rows.shape[1]}"
        )
    return SearchMaterial(
        settings=settings,
        image_set=image_set,
        gallery=gallery,
        gallery_rows=rows,
        directions=gallery.directions(image_set),
        seen_classes=seen_classes,
        space=space,
        cache_dir=cache_dir,
    )


def load_run_material(
    run: RunFolder,
    gallery_path: Path | None = None,
    *,
    cache_dir: Path,
    data: str | None = None,
) -> SearchMaterial:
    """Load what the search of ``run`` read, known again by its hashes.

    ``gallery_path`` and ``data`` say where gallery and data are now; else they are looked for where
    the search read them.

    Raises:
        BadRun: the data or the gallery are no longer those of the search, or no longer there.
    """
    settings = search_settings_of(run)
    if data is not None:
        settings = SearchSettings.model_validate(settings.model_dump() | {"data": data})
    elif settings.data not in CATALOGUE and not Path(settings.data).exists():
        raise BadRun(
            f"the data of {run.path} must be at {settings.data}, where the search read them; "
            "say with --data where they are now"
        )
    material = load_material(settings, gallery_path or _gallery_of(run), cache_dir=cache_dir)
    for name, now in material.hashes().items():
        if run.inputs.get(name) != now:
            raise BadRun(
                f"{run.path} must be used with the {name} that it was searched with "
                f"({run.inputs.get(name)}), got {now}"
            )
    return material


def _gallery_of(run: RunFolder) -> Path:
    stored = run.inputs.get(GALLERY_PATH_KEY)
    if not isinstance(stored, str):
        raise BadRun(f"{run.path} doesn't tell where its gallery is; name it with --gallery")
    if not Path(stored).is_dir():
        raise BadRun(
            f"the gallery of {run.path} must be at {stored}, where the search read it; "
            "say with --gallery where it is now"
        )
    return Path(stored)


def search_settings_of(run: RunFolder) -> SearchSettings:
    """Return the settings of the search that ``run`` was begun with.

    Raises:
        BadRun: another version of cmpc wrote them.
    """
    try:
        return SearchSettings.model_validate(run.settings)
    except ValidationError as error:
        raise BadRun(
            f"{run.settings_path} must hold the settings of this version of cmpc; "
            f"{first_complaint(error)}"
        ) from error


def place_facts(gallery_path: Path) -> dict[str, str]:
    """Return what a run keeps to find its gallery again; what it is, its hash says."""
    return {GALLERY_PATH_KEY: os.path.abspath(gallery_path)}


def target_facts(target: Target) -> dict[str, Any]:
    """Return what a run must keep to know its target again: that of a user's own file, in full.

    A target of cmpc's own is kept by its name, in the settings.
    """
    return {} if target.name in target_names() else {TARGET_KEY: target.to_json()}


def target_of(run: RunFolder) -> Target:
    """Return the target that ``run`` was searched for."""
    kept = run.inputs.get(TARGET_KEY)
    if kept is None:
        return find_target(search_settings_of(run).target)
    return Target.from_json(kept)


def _check_same_items(image_set: ImageSet, other: ImageSet) -> None:
    if image_set.item_names != other.item_names or image_set.split.tolist() != other.split.tolist():
        raise BadData(
            f"{image_set.name} must hold the same items in the same splits at {image_set.size_px} "
            f"px as at {other.size_px} px; it changed meanwhile: begin again"
        )


def _load(
    data: str, gallery: Gallery, size_px: int, cache_dir: Path, progress: Progress | None = None
) -> ImageSet:
    # The split is the gallery's, not the search's: what it was trained on must not test others.
    return load_image_set(
        data, size_px=size_px, cache_dir=cache_dir, seed=gallery.split_seed, progress=progress
    )
