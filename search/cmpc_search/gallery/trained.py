"""Keep a network that cmpc trained as a gallery, and know it again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from cmpc_base.hashing import document_hash, file_hash
from cmpc_base.json_files import write_json
from cmpc_cost_models.graphs.counting import count_network
from cmpc_search.data import ImageSet
from cmpc_search.errors import BadGallery
from cmpc_search.gallery.classes import KnownClass, write_classes
from cmpc_search.gallery.classifier import training_classes, write_classifier
from cmpc_search.gallery.folder import (
    CLASSIFIER_FILE,
    ONNX_FILE,
    WEIGHTS_FILE,
    Gallery,
    open_gallery,
)
from cmpc_search.gallery.record import SCHEMA_VERSION, GalleryRecord
from cmpc_search.gallery.unfinished import RECORD_FILE
from cmpc_search.networks.gallery.base import GalleryNetwork
from cmpc_search.networks.onnx_export import export_network
from cmpc_search.training.checkpoint import write_weights

__all__ = ["FURTHER_HASHES", "checkpoint_of", "existing_gallery", "save_gallery_network"]

FURTHER_HASHES = "further_sha256"
"""Among the facts of a training, where it had further data sets: their hashes, in their order."""


def existing_gallery(path: Path, image_set: ImageSet, *, facts: Any) -> Gallery | None:
    """Return the gallery in ``path`` if it was trained so, None if there is none.

    Raises:
        BadGallery: there is one that was trained otherwise, or on other data.
    """
    if not (path / RECORD_FILE).exists():
        return None
    found = open_gallery(path)
    is_of_these_data = found.record.data_sha256 == image_set.sha256
    if is_of_these_data and _but_place(found.record.training) == _but_place(facts):
        return found
    raise BadGallery(
        f"{path} must be trained with these settings on this data, it was made otherwise; "
        "choose another folder or remove it"
    )


def _but_place(facts: Any) -> dict[str, Any]:
    """Return the facts of a training without where its data were; what they are, hashes tell."""
    places = ("data", "further_data")
    return {name: value for name, value in dict(facts or {}).items() if name not in places}


def checkpoint_of(path: Path, image_set: ImageSet, *, facts: Any) -> Path:
    """Name the checkpoint of a training, so that no other training goes on from it."""
    key = document_hash([image_set.sha256, _but_place(facts)])[:12]
    return path / f"{key}.checkpoint.safetensors"


def save_gallery_network(
    path: Path,
    network: GalleryNetwork,
    directions: Tensor,
    image_set: ImageSet,
    *,
    facts: Any,
    classes_beside: Sequence[KnownClass] = (),
    precision: str | None = None,
) -> Gallery:
    """Write a trained network, its ONNX form and its classifier; the record comes last.

    ``facts`` are further JSON values to keep, such as how the network was trained;
    ``classes_beside`` were learnt beside those of ``image_set``; ``precision`` is in which type it
    was, where nobody knows None.
    """
    path.mkdir(parents=True, exist_ok=True)
    (path / RECORD_FILE).unlink(missing_ok=True)
    write_weights(path / WEIGHTS_FILE, network)
    network_sha256 = file_hash(path / WEIGHTS_FILE)
    write_classifier(path / CLASSIFIER_FILE, directions, training_classes(image_set))
    write_classes(path, image_set, classes_beside, network_sha256=network_sha256)
    export_network(network, path / ONNX_FILE)
    counted = count_network(path / ONNX_FILE)
    record = GalleryRecord(
        schema_version=SCHEMA_VERSION,
        network=network.shape,
        network_sha256=network_sha256,
        input_size_px=network.shape.input_size_px,
        embedding_dim=network.shape.embedding_dim,
        macs=counted.macs,
        parameters=counted.parameters,
        data_sha256=image_set.sha256,
        training=facts,
        precision=precision,
    )
    write_json(path / RECORD_FILE, record.to_json())
    return open_gallery(path)
