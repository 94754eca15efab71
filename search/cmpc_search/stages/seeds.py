"""What another seed of a run is trained from, so that seeds differ in more than the order of views.

    RUN/                              seed 0: the views and the supernet of the search itself
    RUN/seeds/1/supernet/             another supernet, from other views of the same images
    RUN/seeds/1-new-gallery/gallery/  on request also another gallery network, trained alike
    RUN/seeds/1-new-gallery/supernet/ and what fits it

A seed counts from the seed of the search: seed 1 of a search with seed 7 draws everything with 8.
The architecture is the one that was picked: it is the training that is repeated, not the search.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from cmpc_base.progress import Progress
from cmpc_search.data import ImageSet
from cmpc_search.errors import BadGallery
from cmpc_search.gallery import FURTHER_HASHES, Gallery, embed_gallery, remember_views
from cmpc_search.json_records import first_complaint
from cmpc_search.runs import RunFolder
from cmpc_search.stages.gallery_training import (
    load_further_sets,
    load_training_set,
    settings_of,
    train_gallery,
    training_facts,
)
from cmpc_search.stages.material import SearchMaterial, load_material
from cmpc_search.stages.settings import GallerySettings

__all__ = ["Seed", "SeedParts", "check_new_galleries", "make_new_gallery", "parts_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Seed:
    """A number, and whether the gallery network is another one too; seed 0 keeps the run's."""

    number: int
    has_new_gallery: bool = False

    @property
    def name(self) -> str:
        return f"{self.number}-new-gallery" if self.has_new_gallery else str(self.number)


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedParts:
    """The folder that holds a seed's supernet, and the material that give its views."""

    seed: Seed
    run: RunFolder
    material: SearchMaterial


def parts_of(run: RunFolder, material: SearchMaterial, seed: Seed) -> SeedParts:
    """Return where a seed's supernet is, or will be, and its material.

    Raises:
        BadGallery: the seed's gallery network is not trained and embedded yet.
    """
    settings = material.settings.model_copy(update={"seed": material.settings.seed + seed.number})
    if seed.number == 0:
        return SeedParts(seed=seed, run=run, material=material)
    own = (
        load_material(settings, _gallery_folder(run, seed), cache_dir=material.cache_dir)
        if seed.has_new_gallery
        else replace(material, settings=settings)
    )
    return SeedParts(seed=seed, run=RunFolder(_folder(run, seed)), material=own)


def check_new_galleries(gallery: Gallery) -> GallerySettings:
    """Return how the gallery network was trained, so that another can be trained alike.

    Raises:
        BadGallery: cmpc did not train it, or not by settings that this version knows.
    """
    training = gallery.record.training
    if not training:
        raise BadGallery(
            f"new gallery networks are trained as that of {gallery.path} was, so cmpc must have "
            "trained it; it is your own: leave out --new-galleries"
        )
    try:
        return settings_of(training)
    except ValidationError as error:
        raise BadGallery(
            f"new gallery networks are trained as that of {gallery.path} was, and this version of "
            f"cmpc can't repeat its training ({first_complaint(error)}): leave out "
            "--new-galleries, or search with a gallery that `cmpc gallery train` made"
        ) from error


def make_new_gallery(
    run: RunFolder, material: SearchMaterial, seed: Seed, progress: Progress | None = None
) -> Gallery:
    """Train a seed's own gallery network and embed the run's data with it; both are kept.

    Raises:
        BadGallery: the run's gallery network is not cmpc's, or its data have changed since.
    """
    alike = check_new_galleries(material.gallery)
    _check_further_data(material, alike)
    settings = alike.model_copy(update={"seed": alike.seed + seed.number})
    searched = _load(material, settings, material.settings.data)
    training, training_set = _training_set(material, settings, searched)
    gallery = train_gallery(
        _gallery_folder(run, seed),
        training,
        training_set,
        cache_dir=material.cache_dir,
        progress=progress,
    )
    embed_gallery(remember_views(gallery, material.gallery.record.views_per_item), searched)
    return gallery


def _check_further_data(material: SearchMaterial, settings: GallerySettings) -> None:
    further = load_further_sets(settings, cache_dir=material.cache_dir)
    kept = material.gallery.record.training or {}
    if training_facts(settings, further).get(FURTHER_HASHES) != kept.get(FURTHER_HASHES):
        raise BadGallery(
            f"a new gallery network must be trained on what that of {material.gallery.path} was, "
            f"but of {', '.join(settings.further_data)} something has changed since"
        )


def _training_set(
    material: SearchMaterial, settings: GallerySettings, searched: ImageSet
) -> tuple[GallerySettings, ImageSet]:
    """Return what the run's gallery network was trained on, most often what is searched.

    The settings say where that is now.
    """
    wanted = material.gallery.record.data_sha256
    if searched.sha256 == wanted:
        return settings.model_copy(update={"data": material.settings.data}), searched
    found = _load(material, settings, settings.data)
    if found.sha256 != wanted:
        raise BadGallery(
            f"a new gallery network must be trained on what that of {material.gallery.path} was, "
            f"but {settings.data} has changed since"
        )
    return settings, found


def _load(material: SearchMaterial, settings: GallerySettings, data: str) -> ImageSet:
    """Return a data set as the gallery network reads it."""
    there = settings.model_copy(update={"data": data})
    return load_training_set(there, cache_dir=material.cache_dir)


def _folder(run: RunFolder, seed: Seed) -> Path:
    return run.path / "seeds" / seed.name


def _gallery_folder(run: RunFolder, seed: Seed) -> Path:
    return _folder(run, seed) / "gallery"
