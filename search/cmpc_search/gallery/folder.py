"""A gallery folder: the large network, its classifier, and the embeddings it gave.

    galleries/NAME/
      gallery.json                what this is: name, network, data, hashes
      network.safetensors         weights of a network trained by cmpc   } one of them, or neither
      network.onnx                any network of the user's own          }
      classifier.safetensors      class directions [C, D] and the class names, if known
      classes.json                which classes the network was trained on, if cmpc trained it
      embeddings.safetensors      embeddings of a whole data set, by item name
      embeddings-HASH.safetensors those of further data sets

A search needs embeddings of training and validation images; a network beside them lets it ask for
more views. Where no classifier is given, class means of the training embeddings stand in
(Shen et al., CVPR 2020).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmpc_base.json_files import read_json, write_json
from cmpc_base.progress import OnNotice, Progress
from cmpc_search.data import ImageSet
from cmpc_search.directions import unit_rows
from cmpc_search.embeddings import Embeddings, embeddings_files, read_embeddings
from cmpc_search.errors import BadGallery
from cmpc_search.gallery.classes import read_classes
from cmpc_search.gallery.classifier import (
    check_knows,
    directions_for,
    read_classifier,
    training_classes,
)
from cmpc_search.gallery.matching import check_covers
from cmpc_search.gallery.networks.base import LargeNetwork, unit_embeddings
from cmpc_search.gallery.networks.onnx_network import OnnxNetwork
from cmpc_search.gallery.networks.torch_network import TorchNetwork
from cmpc_search.gallery.record import SCHEMA_VERSION, GalleryRecord
from cmpc_search.gallery.unfinished import RECORD_FILE, is_unfinished
from cmpc_search.json_records import parsed_record
from cmpc_search.networks.gallery.base import GalleryShape
from cmpc_search.training.compute import here

__all__ = [
    "Gallery",
    "open_gallery",
    "remember_data",
    "remember_views",
]

WEIGHTS_FILE = "network.safetensors"
ONNX_FILE = "network.onnx"
CLASSIFIER_FILE = "classifier.safetensors"


@dataclass(frozen=True)
class Gallery:
    """An opened gallery folder."""

    path: Path
    record: GalleryRecord

    @property
    def network_sha256(self) -> str:
        """Hash of the network's file, or of the ready embeddings where there is no network."""
        return self.record.network_sha256

    @property
    def embedding_dim(self) -> int:
        return self.record.embedding_dim

    @property
    def has_network(self) -> bool:
        return self.record.network is not None

    @property
    def input_size_px(self) -> int:
        """Size of the images that the network reads."""
        size_px = self.record.input_size_px
        if not self.has_network or size_px is None:
            raise self._without_network()
        return size_px

    @property
    def crop_share(self) -> float | None:
        """Part of the shorter side that this gallery's pictures keep, see `load_image`."""
        return self.record.crop_share

    @property
    def data(self) -> str | None:
        """The data set that this gallery was made with, as it was named then; None without one."""
        return self.record.made_with.data

    @property
    def split_seed(self) -> int:
        """Seed that divides its data: whoever uses this gallery must test on the same classes."""
        return self.record.made_with.split_seed

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates of the network for one image; None without a network."""
        return self.record.macs

    @property
    def onnx_path(self) -> Path | None:
        """The network as ONNX, which is how it is compiled and timed.

        None without a network, or with one whose arithmetic can't be counted.
        """
        return self.path / ONNX_FILE if self.has_network and self.macs is not None else None

    def embeddings_of(self, item_names: Sequence[str]) -> Embeddings:
        """Return the kept embeddings of these items, in this order.

        Where several data sets were embedded, the latest that has all of the items is read.

        Raises:
            BadEmbeddings: they are damaged, or an item has none.
            BadGallery: there are none, or none of this network.
        """
        return self._kept_of(item_names).named(item_names)

    def kept_embeddings(self) -> list[Embeddings]:
        """Return what this network gave for each data set that was embedded, the latest first.

        Raises:
            BadEmbeddings: a file is damaged.
        """
        found = map(read_embeddings, embeddings_files(self.path))
        return [one for one in found if one.network_sha256 == self.network_sha256]

    def _kept_of(self, item_names: Sequence[str]) -> Embeddings:
        """Return the latest embeddings that have these items, or the latest if none have."""
        kept = self.kept_embeddings()
        if not kept:
            got = "got another's" if embeddings_files(self.path) else "it has none"
            raise BadGallery(
                f"{self.path} must hold embeddings that its network gave, {got}; "
                "run `cmpc gallery embed`"
            )
        return next((one for one in kept if not one.lacking(item_names)), kept[0])

    @cached_property
    def _network(self) -> LargeNetwork:
        shape = self.record.network
        if shape is None:
            raise self._without_network()
        if shape == "onnx" or not here().embeds_with_torch:
            return OnnxNetwork(self.path / ONNX_FILE, str(self.path / ONNX_FILE))
        return TorchNetwork(self.path / WEIGHTS_FILE, shape)

    @cached_property
    def _narrow_network(self) -> LargeNetwork:
        """The network in bfloat16 where that is faster than as it is.

        On an AMD EPYC with AVX-512 BF16 one thread embeds 500 images a second with a residual
        network of 421 MMAC in torch's bfloat16, 240 with ONNX Runtime.
        """
        shape, compute = self.record.network, here()
        gains = compute.precision == "bfloat16" and not compute.embeds_with_torch
        if gains and isinstance(shape, GalleryShape) and shape.is_dense:
            return TorchNetwork(self.path / WEIGHTS_FILE, shape)
        return self._network

    def _without_network(self) -> BadGallery:
        return BadGallery(f"{self.path} must have a network to embed new images, it has none")

    def embed(
        self,
        images: npt.NDArray[np.uint8],
        item_names: Sequence[str] | None = None,
        *,
        is_narrow: bool = False,
        progress: Progress | None = None,
    ) -> npt.NDArray[np.float32]:
        """uint8 [N, H, H, 3] of any size -> unit embeddings float32 [N, D].

        ``is_narrow`` allows bfloat16 where that is faster: good enough for what others learn from,
        not for what is searched.

        Raises:
            BadEmbeddings: the network gives NaN, infinities or zeros for some of ``item_names``.
            BadGallery: there is no network, or it fails.
        """
        network = self._narrow_network if is_narrow else self._network
        return unit_embeddings(network, images, item_names, is_narrow=is_narrow, progress=progress)

    def rows_of(self, image_set: ImageSet) -> npt.NDArray[np.float32]:
        """Return the kept embeddings in the order of ``image_set``, float32 [N, D].

        Raises:
            BadEmbeddings: an item has no embedding; run `cmpc gallery embed`.
            BadGallery: they are not as long as the gallery's.
        """
        found = self._kept_of(image_set.item_names)
        check_covers(found, image_set)
        if found.rows.shape[1] != self.embedding_dim:
            raise BadGallery(
                f"embeddings of {self.path} must have {self.embedding_dim} values, "
                f"got {found.rows.shape[1]}"
            )
        rows = found.named(image_set.item_names).rows
        return unit_rows(rows, image_set.item_names, f"the embeddings in {self.path}")

    def check_current(self, image_set: ImageSet) -> None:
        """Refuse embeddings that were made before the data changed; nothing else would notice.

        ``image_set`` is of the size that the network reads, as it was when it was embedded.

        Raises:
            BadGallery: they were made of other images, classes, roles or splits.
        """
        made_of = self._kept_of(image_set.item_names).data_sha256
        if made_of not in (None, image_set.sha256):
            raise BadGallery(
                f"the embeddings in {self.path} must be of {image_set.name} as it is now, it has "
                "changed since; run `cmpc gallery embed`"
            )

    def classifier_of(
        self, image_set: ImageSet, *, on_notice: OnNotice | None = None
    ) -> Tensor | None:
        """Return the gallery classifier's directions float32 [C, D] for the training classes.

        Row c belongs to the c-th of the sorted training classes. It is None where no classifier
        was given for these data: there is none, or it is that of the other data that cmpc trained
        the network on, which ``on_notice`` is told.

        Raises:
            BadGallery: the classifier that was imported lacks training classes.
        """
        path = self.path / CLASSIFIER_FILE
        if not path.exists():
            return None
        known = read_classes(self.path, network_sha256=self.network_sha256) or []
        keys = {one.name: one.key for one in known}
        stored = directions_for(image_set, read_classifier(path), keys)
        names = training_classes(image_set)
        lacking = [name for name in names if name not in stored]
        if not lacking:
            return torch.stack([stored[name] for name in names])
        if self.record.training is None:
            check_knows(stored, image_set, path)
        if on_notice is not None:
            on_notice(
                f"the classifier of {self.path} is that of its own training data and lacks "
                f"{len(lacking)} of {len(names)} training classes of {image_set.name}; "
                "class means of the embeddings stand in"
            )
        return None


def open_gallery(path: Path) -> Gallery:
    """Return the gallery in ``path``.

    Raises:
        BadGallery: there is none, or it was written by another version.
    """
    if not (path / RECORD_FILE).is_file():
        if is_unfinished(path):
            raise BadGallery(
                f"{path} must be a whole gallery, and its making has not ended; "
                "give the command that makes it again"
            )
        got = f"one without {RECORD_FILE}" if path.is_dir() else "no such folder"
        raise BadGallery(
            f"{path} must be a gallery folder, got {got}; "
            "make one with `cmpc gallery train` or `cmpc gallery import`"
        )
    advice = "train or import the gallery again"
    record = read_json(path / RECORD_FILE, error=BadGallery, advice=advice)
    if record.get("schema_version") != SCHEMA_VERSION:
        raise BadGallery(
            f"{path} must be a gallery with schema_version {SCHEMA_VERSION}, "
            f"got {record.get('schema_version')}; train or import it again"
        )
    kept = parsed_record(record, GalleryRecord, path / RECORD_FILE, error=BadGallery, advice=advice)
    return Gallery(path, kept)


def remember_data(gallery: Gallery, data: str) -> Gallery:
    """Keep the name of the first data set that a gallery is used with, for all that come later."""
    if gallery.data is not None:
        return gallery
    return _changed(gallery, data=data)


def remember_views(gallery: Gallery, views_per_item: int) -> Gallery:
    """Keep of how many views of a gallery item its embedding is the mean from now on."""
    if views_per_item == gallery.record.views_per_item:
        return gallery
    return _changed(gallery, views_per_item=views_per_item)


def _changed(gallery: Gallery, **facts: str | int) -> Gallery:
    changed = gallery.record.model_copy(update=facts)
    write_json(gallery.path / RECORD_FILE, changed.to_json())
    return open_gallery(gallery.path)
