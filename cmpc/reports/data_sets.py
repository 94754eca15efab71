"""How data sets read: which there are, what one holds, what was left out of it and why."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cmpc.output import make_table
from cmpc.reports.base import Report

if TYPE_CHECKING:
    from pathlib import Path

    from cmpc_search.data import Drops, ImageSet
    from cmpc_search.data.passed_over import PassedOver
    from cmpc_search.data.sources.catalogue import CatalogueEntry

__all__ = ["catalogue_report", "passed_over_sentences", "prepared_report"]

NUM_SHOWN = 5  # lines of each kind of trouble; the document has them all
CATALOGUE_COLUMNS = (
    *("name", "images", "classes", "fetch MB", "prepared", "licence", "from", "what"),
)


def catalogue_report(
    catalogue: "Mapping[str, CatalogueEntry]",
    sizes_px: Mapping[str, Sequence[int]],
    copies: "Mapping[str, Path | None]",
) -> Report:
    """Tell which data sets have a name, at which sizes they are prepared, and where copies are."""
    documents = [
        {
            "name": name,
            "num_images": entry.num_images,
            "num_classes": entry.num_classes,
            "fetched_mb": entry.fetched_mb,
            "prepared_sizes_px": sizes_px[name],
            "licences": entry.licences,
            "origin": entry.origin,
            "copy": copies[name],
            "summary": entry.summary,
        }
        for name, entry in catalogue.items()
    ]
    rows = [
        (
            name,
            entry.num_images,
            entry.num_classes,
            entry.fetched_mb,
            ", ".join(f"{size_px} px" for size_px in sizes_px[name]) or None,
            ", ".join(entry.licences),
            entry.origin if copies[name] is None else f"{entry.origin}, in {copies[name]}",
            entry.summary,
        )
        for name, entry in catalogue.items()
    ]
    table = make_table(CATALOGUE_COLUMNS, rows)
    return Report(document={"data_sets": documents}, tables=(table,))


def prepared_report(
    image_set: "ImageSet", passed_over: "Sequence[PassedOver]", seconds: float
) -> Report:
    """Tell what a prepared data set holds, and what was left out of it."""
    counts = image_set.counts()
    rows = [
        (split, count.num_classes, count.num_queries, count.num_gallery)
        for split, count in counts.items()
    ]
    title = image_set.describe_size()
    document = {
        "name": image_set.name,
        "size_px": image_set.size_px,
        "num_images": len(image_set),
        "num_classes": image_set.num_classes,
        "is_open_set": image_set.is_open_set,
        "splits": counts,
        "drops": image_set.drops.to_json(),
        "passed_over": passed_over,
        "licences": image_set.licences,
        "sha256": image_set.sha256,
        "seconds": seconds,
    }
    table = make_table(("split", "classes", "queries", "gallery"), rows, title=title)
    return Report(
        document=document, tables=(table,), sentences=tuple(_drop_sentences(image_set.drops))
    )


def passed_over_sentences(groups: "Sequence[PassedOver]") -> list[str]:
    """Say what a folder holds that is no picture of the set; nothing where that is nothing."""
    if not groups:
        return []
    by_count = sorted(groups, key=lambda group: -group.count)
    return [
        "passed over, and not counted below:",
        *_first([group.describe() for group in by_count]),
    ]


def _drop_sentences(drops: "Drops") -> list[str]:
    if not drops.total:
        return []
    return [drops.describe(), *_first([drop.describe() for drop in drops.items])]


def _first(lines: list[str]) -> list[str]:
    shown = [f"  {line}" for line in lines[:NUM_SHOWN]]
    if len(lines) > NUM_SHOWN:
        shown.append(f"  and {len(lines) - NUM_SHOWN} more, which --json lists")
    return shown
