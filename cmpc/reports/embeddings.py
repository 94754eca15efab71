"""How embeddings of single pictures read."""

from pathlib import Path
from typing import TYPE_CHECKING

from cmpc.output import make_table
from cmpc.reports.base import Report

if TYPE_CHECKING:
    from cmpc_search.embeddings import Embeddings

__all__ = ["embeddings_report"]

NUM_SHOWN = 4


def embeddings_report(bundle: Path, found: "Embeddings") -> Report:
    """Tell what a bundle's network gave for each picture; all of it for programs."""
    pairs = list(zip(found.item_names or (), found.rows, strict=True))
    rows = [(name, len(row), " ".join(f"{x:.3f}" for x in row[:NUM_SHOWN])) for name, row in pairs]
    listed = [{"image": name, "embedding": row} for name, row in pairs]
    return Report(
        document={"bundle": bundle, "embeddings": listed},
        tables=(make_table(("image", "dimension", f"first {NUM_SHOWN} values"), rows),),
    )
