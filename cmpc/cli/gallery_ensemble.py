"""How do several large networks become one gallery?"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmpc.cli.cache_size import cache_size_option
from cmpc.cli.options import (
    EXISTING_FOLDER,
    FOLDER,
    cache_dir_option,
    compute_option,
    filled,
    json_option,
    set_up_compute,
    threads_option,
)

if TYPE_CHECKING:
    from cmpc_search.stages.gallery_making import GalleryEnsembleOrder

__all__ = ["ensemble"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EnsembleOptions:
    """Which galleries shall be averaged."""

    folder: Path
    members: tuple[Path, ...]
    embedding_dim: int | None
    threads: int | None
    compute_device: str | None
    cache_dir: Path
    as_json: bool

    def order(self) -> "GalleryEnsembleOrder":
        """Return what is ordered."""
        from cmpc_search.stages.gallery_making import GalleryEnsembleOrder

        return GalleryEnsembleOrder(
            folder=self.folder,
            members=self.members,
            embedding_dim=self.embedding_dim,
            cache_dir=self.cache_dir,
        )


@click.command()
@click.argument("folder", metavar="GALLERY", type=FOLDER)
@click.argument("members", metavar="MEMBER...", type=EXISTING_FOLDER, nargs=-1, required=True)
@click.option(
    "--embedding-dim",
    type=click.IntRange(min=1),
    help="Length of the embedding.  [default: the longest of the members']",
)
@threads_option
@compute_option
@cache_dir_option
@cache_size_option
@json_option
@filled(EnsembleOptions)
def ensemble(options: EnsembleOptions) -> None:
    """Average several galleries into one, whose cosines are the mean of theirs.

    The members must have been made with the same data and split, and read images of one size. Their
    networks become one network, which embeds the data at once and costs what they cost together.

    \b
    Example:
      cmpc gallery ensemble galleries/all galleries/first galleries/second galleries/third
    """
    from cmpc.cli.publishing import publish
    from cmpc.progress import TerminalObserver
    from cmpc.reports.galleries import gallery_report
    from cmpc_search.stages.gallery_making import run_gallery_ensemble

    set_up_compute(options.compute_device, options.threads)
    found = run_gallery_ensemble(options.order(), TerminalObserver())
    publish(gallery_report(found), as_json=options.as_json)
