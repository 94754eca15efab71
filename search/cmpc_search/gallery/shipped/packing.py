"""Pack a trained gallery network into a few megabytes, and make it a gallery of local data again.

What is shipped must have learnt from training classes alone, so it is used only with data whose
classes are divided as they were then. How pictures are rendered may differ by a hair.
"""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from cmpc_base.files import replacing
from cmpc_base.hashing import document_hash
from cmpc_base.json_files import write_json
from cmpc_search.data import ImageSet
from cmpc_search.data.text import normalised_text
from cmpc_search.errors import BadArgument, BadGallery
from cmpc_search.gallery.classes import KnownClass, classes_beside, classes_in
from cmpc_search.gallery.classifier import read_classifier, write_classifier
from cmpc_search.gallery.folder import CLASSIFIER_FILE, WEIGHTS_FILE, Gallery, open_gallery
from cmpc_search.gallery.record import AnyShape, DataUse
from cmpc_search.gallery.trained import (
    FURTHER_HASHES,
    existing_gallery,
    save_gallery_network,
)
from cmpc_search.gallery.unfinished import making
from cmpc_search.json_records import read_record
from cmpc_search.networks.gallery.base import GalleryNetwork, GalleryShape

__all__ = [
    "Shipped",
    "open_shipped",
    "pack_shipped",
    "read_shipped",
    "shipped_names",
    "unpack_shipped",
]

OWN_FOLDER = Path(__file__).parent
RECORD_FILE = "shipped.json"
LOG_FILE = "training.log"
MOST_BYTES = 8_000_000
LIBRARIES = ("cmpc", "torch", "numpy", "pillow")


@dataclass(frozen=True, kw_only=True, slots=True)
class Shipped:
    """What shipped.json tells.

    Attributes:
        training: How it was trained, as the settings say; the data's name and split seed are there.
        classes_sha256: Hash of the keys of all classes and the splits that they are in.
        train_items_sha256: Hash of the names and pixels of the training images.
        versions: Of the libraries that it was trained with.
        licences: Of its data.
        precision: In which type it was trained; None where nobody knows.
        classes_beside: Those that it learnt beside the training classes of its data.
    """

    network: AnyShape
    training: dict[str, Any]
    classes_sha256: str
    train_items_sha256: str
    versions: dict[str, str]
    licences: list[str]
    precision: str | None = None
    classes_beside: tuple[KnownClass, ...] = ()


def shipped_names() -> list[str]:
    """Return the data sets for which a network comes with cmpc."""
    return sorted(path.parent.name for path in OWN_FOLDER.glob(f"*/{RECORD_FILE}"))


def open_shipped(name: str) -> Path:
    """Return the folder of the network that comes with cmpc for a data set.

    Raises:
        BadArgument: there is none.
    """
    if name not in shipped_names():
        raise BadArgument(
            f"a network must come with cmpc for the data set {name!r}, it comes with "
            f"{' and '.join(shipped_names()) or 'none'}; train one with `cmpc gallery train`"
        )
    return OWN_FOLDER / name


def pack_shipped(
    gallery_folder: Path,
    out_folder: Path,
    image_set: ImageSet,
    *,
    log_path: Path,
    further: Sequence[ImageSet] = (),
) -> Shipped:
    """Write the network of a trained gallery to ``out_folder`` as it is shipped.

    ``image_set`` is what it was trained on, and ``further`` the further data sets, each at the size
    that it reads; ``log_path`` is what its training told.

    Raises:
        BadArgument: it is larger than what is shipped, or the folder is there already.
        BadGallery: cmpc did not train it, or not on these data.
    """
    gallery = open_gallery(gallery_folder)
    shape, training = gallery.record.network, gallery.record.training
    if not isinstance(shape, GalleryShape) or training is None:
        raise BadGallery(f"{gallery_folder} must hold a network that cmpc trained to be shipped")
    told = [gallery.record.data_sha256, *training.get(FURTHER_HASHES, ())]
    if told != [one.sha256 for one in (image_set, *further)]:
        raise BadGallery(f"{gallery_folder} must be packed with the data that it was trained on")
    weights = save({name: _packed(one) for name, one in _weights_in(gallery_folder).items()})
    if len(weights) > MOST_BYTES:
        raise BadArgument(
            f"a shipped network must have at most {MOST_BYTES} bytes, got {len(weights)}"
        )
    directions = read_classifier(gallery_folder / CLASSIFIER_FILE)
    shipped = Shipped(
        network=shape,
        training=training,
        classes_sha256=_classes_hash(image_set),
        train_items_sha256=_train_items_hash((image_set, *further)),
        versions={library: version(library) for library in LIBRARIES},
        licences=list(dict.fromkeys(chain(image_set.licences, *(one.licences for one in further)))),
        precision=gallery.record.precision,
        classes_beside=classes_beside(image_set, further),
    )
    out_folder.mkdir(parents=True)
    with replacing(out_folder / WEIGHTS_FILE) as file:
        file.write(weights)
    rows = torch.stack([directions[normalised_text(name)] for name in _training(image_set, "name")])
    write_classifier(out_folder / CLASSIFIER_FILE, rows.half(), _training(image_set, "key"))
    shutil.copyfile(log_path, out_folder / LOG_FILE)
    write_json(out_folder / RECORD_FILE, asdict(shipped))
    return shipped


def unpack_shipped(shipped_folder: Path, folder: Path, image_set: ImageSet) -> Gallery:
    """Make a shipped network a gallery in ``folder``; it may be there already.

    ``image_set`` is the data set that it was trained on, as it is here.

    Raises:
        BadArgument: the folder holds something else.
        BadGallery: the folder holds another gallery, or the classes of ``image_set`` are not
            divided as they were when the network was trained.
    """
    shipped = read_shipped(shipped_folder)
    if _classes_hash(image_set) != shipped.classes_sha256:
        raise BadGallery(
            f"the network in {shipped_folder} must be used with the training, validation and test "
            f"classes that it was trained beside, and {image_set.name} has others; "
            "train one with `cmpc gallery train`"
        )
    facts = shipped.training
    if (found := existing_gallery(folder, image_set, facts=facts)) is not None:
        return found
    network = GalleryNetwork(shipped.network)
    _load(network, shipped_folder)
    known = read_classifier(shipped_folder / CLASSIFIER_FILE)
    directions = torch.stack([known[normalised_text(one)] for one in _training(image_set, "key")])
    with making(folder):
        return save_gallery_network(
            folder,
            network.eval(),
            directions,
            image_set,
            facts=facts,
            classes_beside=shipped.classes_beside,
            precision=shipped.precision,
        )


def read_shipped(shipped_folder: Path) -> Shipped:
    """Return what the record in a folder tells.

    Raises:
        BadGallery: there is none, or it is damaged.
    """
    found = read_record(
        shipped_folder / RECORD_FILE, Shipped, error=BadGallery, advice="install cmpc again"
    )
    DataUse.model_validate(found.training)
    return found


def _load(network: GalleryNetwork, shipped_folder: Path) -> None:
    weights = _weights_in(shipped_folder)
    try:
        network.load_state_dict({name: _unpacked(one) for name, one in weights.items()})
    except RuntimeError as error:
        raise BadGallery(
            f"{shipped_folder} must hold the weights that its record tells of; install cmpc again"
        ) from error


def _weights_in(folder: Path) -> dict[str, Tensor]:
    try:
        return load_file(folder / WEIGHTS_FILE)
    except (SafetensorError, OSError) as error:
        raise BadGallery(
            f"{folder / WEIGHTS_FILE} must hold a network's weights: {error}"
        ) from error


def _packed(tensor: Tensor) -> Tensor:
    """Halve matrices and filters; what batch norms hold is little, and may be too small for it."""
    return (tensor.half() if tensor.ndim > 1 else tensor).contiguous()


def _unpacked(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype == torch.float16 else tensor


def _training(image_set: ImageSet, what: str) -> list[str]:
    """Return the names or the keys of the training classes, in the order of their labels."""
    words = {"name": image_set.class_names, "key": image_set.class_keys}[what]
    return [words[label] for label in image_set.labels_in(image_set.select(split="train"))]


def _classes_hash(image_set: ImageSet) -> str:
    return document_hash(sorted([one.key, *one.splits] for one in classes_in(image_set)))


def _train_items_hash(image_sets: Sequence[ImageSet]) -> str:
    digest = hashlib.sha256()
    for image_set in image_sets:
        for position in image_set.select(split="train"):
            digest.update(image_set.item_names[position].encode() + b"\0")
            digest.update(image_set.images[position].tobytes())
    return digest.hexdigest()
