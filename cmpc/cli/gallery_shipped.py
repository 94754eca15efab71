"""Take the network that comes with cmpc, ready trained."""

from pathlib import Path

import click

from cmpc.cli.cache_size import cache_size_option
from cmpc.cli.options import FOLDER, cache_dir_option, json_option

__all__ = ["shipped"]


@click.command()
@click.argument("folder", metavar="GALLERY", type=FOLDER)
@click.option("--data", default="emoji", show_default=True, metavar="NAME", help="Data set.")
@cache_dir_option
@cache_size_option
@json_option
def shipped(folder: Path, data: str, cache_dir: Path, as_json: bool) -> None:
    """Take the network that comes with cmpc for a data set, if one does.

    One comes for emoji. It was trained on the training classes of that data set alone, as two
    houses draw them and as those of emoji9 do; they are compared with those that are here.

    \b
    Example:
      cmpc gallery shipped galleries/emoji --data emoji
    """
    from cmpc.cli.publishing import publish
    from cmpc.progress import TerminalObserver
    from cmpc.reports.galleries import gallery_report
    from cmpc_search.stages.gallery_making import GalleryShippedOrder, run_gallery_shipped

    order = GalleryShippedOrder(folder=folder, data=data, cache_dir=cache_dir)
    found = run_gallery_shipped(order, TerminalObserver())
    publish(gallery_report(found), as_json=as_json)
