"""Ask an index with pictures: an order in, named neighbours out. Needs no torch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmpc_base.cache import Cache
from cmpc_base.name_lists import read_names
from cmpc_base.progress import SILENT, Observer
from cmpc_cost_models.bundles.opening import Bundle, open_bundle
from cmpc_kernels import Neighbours, certify, open_verified
from cmpc_search.data.preprocessing import image_size_of
from cmpc_search.embeddings import gallery_network_of, split_seed_of
from cmpc_search.errors import BadArgument
from cmpc_search.stages.answers import Answer, Item, KnownItems, answers
from cmpc_search.stages.data_sets import prepare_data_set
from cmpc_search.stages.index_changes import known_ids
from cmpc_search.stages.indexing import AnyIndex

__all__ = ["QueryOrder", "run_query"]


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryOrder:
    """Which pictures ask which index.

    Attributes:
        images: Files or, with ``data``, names of its items.
        k: How many items to find for each.
        allow_path: Find only items that this text file names.
        data: A data set that knows pictures and classes of items.
        certificate_path: Write there why the answers are exact.
        num_sampled: Ask with this many test queries of the data set, too; drawn with ``seed``.
    """

    index_path: Path
    bundle: Path
    cache_dir: Path
    images: tuple[str, ...] = ()
    k: int = 5
    allow_path: Path | None = None
    certificate_path: Path | None = None
    data: str | None = None
    num_sampled: int = 0
    seed: int = 0


def run_query(order: QueryOrder, observer: Observer = SILENT) -> list[Answer]:
    """Find the gallery items that are nearest to each picture.

    Raises:
        BadArgument: a query has no picture, or the index does not say which network made it, or
            answers are to be certified that are not exact.
    """
    index = open_verified(order.index_path, Cache(order.cache_dir))
    allowed = None if order.allow_path is None else _allowed(index, order.allow_path, observer)
    bundle = open_bundle(order.bundle)
    space = gallery_network_of(bundle)
    if space is not None and index.network_sha256 is None:
        raise BadArgument(
            f"an index must say which gallery network made it to be asked, and {order.index_path} "
            "does not; build it again with --gallery"
        )
    known = _known_items(order, bundle, observer)
    asked = _asked(order, known)
    embeddings = bundle.embed(np.stack([item.image for item in asked if item.image is not None]))
    neighbours = index.search(embeddings, order.k, allow=allowed, network_sha256=space)
    if order.certificate_path is not None:
        certificate = certify(order.index_path, embeddings, neighbours, allow=allowed)
        certificate.save(order.certificate_path)
    return answers(asked, neighbours, _names_of(index, neighbours), known)


def _known_items(order: QueryOrder, bundle: Bundle, observer: Observer) -> KnownItems:
    size_px, crop_share = image_size_of(bundle), bundle.preprocessing.crop_share
    if order.data is None:
        return KnownItems(None, size_px=size_px, crop_share=crop_share)
    image_set = prepare_data_set(
        order.data,
        size_px=size_px,
        crop_share=crop_share,
        split_seed=split_seed_of(bundle),
        cache_dir=order.cache_dir,
        observer=observer,
    )
    return KnownItems(image_set, size_px=size_px, crop_share=crop_share)


def _asked(order: QueryOrder, known: KnownItems) -> list[Item]:
    drawn = known.draw(order.num_sampled, seed=order.seed) if order.num_sampled else []
    return [*known.queries(order.images), *drawn]


def _allowed(index: AnyIndex, path: Path, observer: Observer) -> npt.NDArray[np.int64]:
    """Return the ids of the items that a text file names; tell how many names are of no item."""
    names = read_names(path)
    ids, unknown = known_ids(index, names)
    if unknown:
        observer.notice(f"{len(unknown)} of {len(set(names))} names in {path} are those of no item")
    return ids


def _names_of(index: AnyIndex, neighbours: Neighbours) -> dict[int, str] | None:
    """Return the names of all items that were found, by id, if items have names."""
    if index.item_names is None:
        return None
    found = sorted(set(neighbours.ids.ravel().tolist()) - {-1})
    return dict(zip(found, index.names_of(found), strict=True))
