"""What the commands that write an index share: the lock, the network, and how a file is saved."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cmpc_kernels import GalleryIndex
    from cmpc_search.embeddings import Embeddings
    from cmpc_search.gallery import Gallery

__all__ = ["changing", "check_dimension", "network_of", "open_gallery_of", "save_new"]


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Keep every other program from changing an index while the block reads, changes, writes it."""
    from cmpc.output import say
    from cmpc_kernels import index_lock

    refuse_shard(path)
    with index_lock(path, on_wait=say):
        yield


def refuse_shard(path: Path) -> None:
    """Refuse one file of a folder of shards: changed alone, it would not fit the others any more.

    Raises:
        click.UsageError: it is one.
    """
    folder = path.resolve().parent
    if path.is_file() and path.name.startswith("shard-") and (folder / "manifest.json").is_file():
        raise click.UsageError(
            f"an index must be changed as a whole, {path} is one file of the folder {folder}; "
            f"name the folder"
        )


def save_new(built: "GalleryIndex", path: Path) -> None:
    """Write an index file, in place of one that may be there; make its folder if there is none."""
    path.resolve().parent.mkdir(parents=True, exist_ok=True)
    with changing(path):
        built.save(path)


def network_of(found: "Embeddings", gallery_path: Path | None) -> str | None:
    """Return the hash of the network that made embeddings: what they say, or that of a gallery.

    Raises:
        click.UsageError: the embeddings say another network, or have another dimension.
    """
    if gallery_path is None:
        return found.network_sha256
    gallery = open_gallery_of(gallery_path)
    check_dimension(gallery, found.rows.shape[1])
    if found.network_sha256 not in (None, gallery.network_sha256):
        raise click.UsageError(
            f"--gallery must be that of the embeddings' network {found.network_sha256}, got "
            f"{gallery_path} with the network {gallery.network_sha256}; leave it out"
        )
    return gallery.network_sha256


def open_gallery_of(path: Path) -> "Gallery":
    """Open the gallery that embeddings are said to be of."""
    from cmpc_search.gallery import open_gallery

    return open_gallery(path)


def check_dimension(gallery: "Gallery", dimension: int) -> None:
    """Refuse a gallery whose embeddings have another dimension.

    Raises:
        click.UsageError: they have.
    """
    if gallery.embedding_dim != dimension:
        raise click.UsageError(
            f"--gallery must be that of the embeddings: they have {dimension} dimensions, those of "
            f"{gallery.path} have {gallery.embedding_dim}"
        )
