"""A gallery folder: the large network, its classifier, and the embeddings it gave.

    galleries/NAME/
      gallery.json                what this is: name, network, data, hashes
      network.safetensors         weights of a network trained by cmpc   } one of them, or neither
      network.onnx                any network of the user's own          }
      classifier.safetensors      class directions [C, D] and the class names, if known
      embeddings.safetensors      embeddings of a whole data set, by item name

A search needs embeddings of training and validation images; a network beside them lets it ask for
more views. Where no classifier is given, class means of the training embeddings stand in
(Shen et al., CVPR 2020).
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn import functional

from cmpc_search.data import ImageSet
from cmpc_search.embedding import embed_images, resize_images
from cmpc_search.embeddings import EMBEDDINGS_FILE, Embeddings, read_embeddings, write_embeddings
from cmpc_search.errors import BadGallery
from cmpc_search.files import replacing
from cmpc_search.networks.gallery import GalleryNetwork, ResidualShape
from cmpc_search.networks.heads import class_means
from cmpc_search.runs.files import read_json, write_json
from cmpc_search.training.augmentation import to_float
from cmpc_search.training.numerics import has_fast_bfloat16, mixed_precision, use_channels_last

__all__ = [
    "Gallery",
    "checkpoint_of",
    "embed_gallery",
    "existing_gallery",
    "open_gallery",
    "read_classifier",
    "save_gallery_network",
]

RECORD_FILE = "gallery.json"
WEIGHTS_FILE = "network.safetensors"
ONNX_FILE = "network.onnx"
CLASSIFIER_FILE = "classifier.safetensors"
SCHEMA_VERSION = 1
BATCH_SIZE = 256


@dataclass(frozen=True)
class Gallery:
    """An opened gallery folder."""

    path: Path
    record: dict[str, Any]

    @property
    def network_sha256(self) -> str:
        """Hash of the network's file, or of the ready embeddings where there is no network."""
        return str(self.record["network_sha256"])

    @property
    def embedding_dim(self) -> int:
        return int(self.record["embedding_dim"])

    @property
    def has_network(self) -> bool:
        return self.record["network"] is not None

    @property
    def input_size_px(self) -> int:
        """Size of the images that the network reads."""
        if not self.has_network:
            raise BadGallery(f"{self.path} must have a network to embed new images, it has none")
        return int(self.record["input_size_px"])

    @property
    def data(self) -> str | None:
        """What the network was trained on, as it was named then; None if cmpc didn't train it."""
        training = self.record.get("training")
        return None if training is None else str(training["data"])

    @property
    def split_seed(self) -> int:
        """Seed that divides its data: whoever uses this gallery must test on the same classes."""
        return int((self.record.get("training") or self.record).get("split_seed", 0))

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates of the network for one image; None without a network."""
        found = self.record.get("macs")
        return None if found is None else int(found)

    @property
    def onnx_path(self) -> Path | None:
        """The network as ONNX, which is how it is compiled and timed; None without a network."""
        return self.path / ONNX_FILE if self.has_network else None

    @cached_property
    def embeddings(self) -> Embeddings:
        """The embeddings that this folder keeps.

        Raises:
            BadEmbeddings: they are damaged.
            BadGallery: they are missing, or of another network.
        """
        if not (self.path / EMBEDDINGS_FILE).exists():
            raise BadGallery(
                f"{self.path} must hold embeddings of the data, it has none; "
                "run `cmpc gallery embed`"
            )
        found = read_embeddings(self.path / EMBEDDINGS_FILE)
        if found.network_sha256 != self.network_sha256:
            raise BadGallery(
                f"{self.path / EMBEDDINGS_FILE} must be of this gallery's network, got another's; "
                "run `cmpc gallery embed` again"
            )
        return found

    @cached_property
    def _network(self) -> "GalleryNetwork | _OnnxNetwork":
        if not self.has_network:
            raise BadGallery(f"{self.path} must have a network to embed new images, it has none")
        if self.record["network"] == "onnx":
            return _OnnxNetwork(self.path / ONNX_FILE)
        shape = dict(self.record["network"])
        network = GalleryNetwork(ResidualShape(**shape | {"depths": tuple(shape["depths"])}))
        network.load_state_dict(_load_tensors(self.path / WEIGHTS_FILE))
        use_channels_last(network)
        return network.eval()

    def embed(
        self, images: npt.NDArray[np.uint8], *, is_mixed: bool = False
    ) -> npt.NDArray[np.float32]:
        """uint8 [N, H, H, 3] of any size -> unit embeddings float32 [N, D].

        ``is_mixed`` lets a torch network compute in bfloat16 where that is fast: good enough for
        what others learn from, not for what is searched.
        """
        network = self._network
        if isinstance(network, _OnnxNetwork):
            return network.embed(_resized(images, self.input_size_px))
        with mixed_precision(enabled=is_mixed and has_fast_bfloat16()):
            rows = embed_images(network, _resized(images, self.input_size_px))
        unit = functional.normalize(torch.from_numpy(rows).float(), dim=1)
        result: npt.NDArray[np.float32] = unit.numpy()
        return result

    def rows_of(self, image_set: ImageSet) -> npt.NDArray[np.float32]:
        """Return the kept embeddings in the order of ``image_set``, float32 [N, D].

        Raises:
            BadEmbeddings: an item has no embedding; run `cmpc gallery embed`.
        """
        rows = self.embeddings.named(image_set.item_names).rows
        return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))

    def directions(self, image_set: ImageSet) -> Tensor:
        """Return the gallery classifier's directions float32 [C, D] for the training classes.

        Row c belongs to the c-th of the sorted training classes. Class means of the training
        embeddings stand in for a classifier that is missing or knows other classes.
        """
        positions = image_set.select(split="train")
        classes = np.unique(image_set.labels[positions])
        path = self.path / CLASSIFIER_FILE
        stored = read_classifier(path) if path.exists() else None
        names = [image_set.class_names[label] for label in classes]
        if stored is not None and all(name in stored for name in names):
            return torch.stack([stored[name] for name in names])
        labels = np.searchsorted(classes, image_set.labels[positions])
        rows = torch.from_numpy(self.rows_of(image_set)[positions])
        return class_means(rows, torch.from_numpy(labels), len(classes))


class _OnnxNetwork:
    """A user's own network, run by ONNX Runtime; the batch may be fixed to one."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0]

    def embed(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        batch_size = self._input.shape[0]
        step = batch_size if isinstance(batch_size, int) else BATCH_SIZE
        rows = []
        for start in range(0, len(images), step):
            batch = to_float(torch.from_numpy(np.array(images[start : start + step]))).numpy()
            count = len(batch)
            if isinstance(batch_size, int):  # the last batch is filled up, and cut again
                batch = np.resize(batch, (batch_size, *batch.shape[1:]))
            found = self._session.run(None, {self._input.name: np.ascontiguousarray(batch)})[0]
            rows.append(found.reshape(len(batch), -1)[:count])
        unit = functional.normalize(torch.from_numpy(np.concatenate(rows)).float(), dim=1)
        result: npt.NDArray[np.float32] = unit.numpy()
        return result


def read_classifier(path: Path) -> dict[str, Tensor]:
    """Return the unit direction float32 [D] of each class that a classifier file names.

    Raises:
        BadGallery: the file lacks them, or has another number of names than of directions.
    """
    try:
        with safe_open(path, framework="pt") as file:
            names = json.loads((file.metadata() or {})["class_names"])
            directions = file.get_tensor("directions").float()
        if not isinstance(names, list) or directions.ndim != 2 or not len(directions):
            raise ValueError(f"got {names} and directions of shape {tuple(directions.shape)}")
        return dict(zip(names, functional.normalize(directions, dim=1), strict=True))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise BadGallery(
            f"{path} must hold a tensor `directions` [C, D] and, in its metadata, "
            f"`class_names` as a JSON list of C: {error}"
        ) from error


def existing_gallery(path: Path, image_set: ImageSet, *, facts: Any) -> Gallery | None:
    """Return the gallery in ``path`` if it was trained so, None if there is none.

    Raises:
        BadGallery: there is one that was trained otherwise, or on other data.
    """
    if not (path / RECORD_FILE).exists():
        return None
    found = open_gallery(path)
    if found.record.get("data_sha256") == image_set.sha256 and found.record["training"] == facts:
        return found
    raise BadGallery(
        f"{path} must be trained with these settings on this data, it was made otherwise; "
        "choose another folder or remove it"
    )


def checkpoint_of(path: Path, image_set: ImageSet, *, facts: Any) -> Path:
    """Name the checkpoint of a training, so that no other training goes on from it."""
    told = json.dumps([image_set.sha256, facts], sort_keys=True)
    return path / f"{hashlib.sha256(told.encode()).hexdigest()[:12]}.checkpoint.safetensors"


def open_gallery(path: Path) -> Gallery:
    """Return the gallery in ``path``.

    Raises:
        BadGallery: there is none, or it was written by another version.
    """
    if not (path / RECORD_FILE).is_file():
        raise BadGallery(
            f"{path} must be a gallery folder, got one without {RECORD_FILE}; "
            "make one with `cmpc gallery train` or `cmpc gallery import`"
        )
    record = read_json(path / RECORD_FILE)
    if record.get("schema_version") != SCHEMA_VERSION:
        raise BadGallery(
            f"{path} must be a gallery with schema_version {SCHEMA_VERSION}, "
            f"got {record.get('schema_version')}"
        )
    return Gallery(path, record)


def save_gallery_network(
    path: Path, network: GalleryNetwork, directions: Tensor, image_set: ImageSet, *, facts: Any
) -> Gallery:
    """Write a trained network, its ONNX form and its classifier; the record comes last.

    ``facts`` are further JSON values to keep, such as how the network was trained.
    """
    from cmpc_cost_models.counted import count_network
    from cmpc_search.export import export_gallery_network

    path.mkdir(parents=True, exist_ok=True)
    (path / RECORD_FILE).unlink(missing_ok=True)
    weights = save({name: value.contiguous() for name, value in network.state_dict().items()})
    with replacing(path / WEIGHTS_FILE) as file:
        file.write(weights)
    classes = np.unique(image_set.labels[image_set.select(split="train")])
    names = [image_set.class_names[label] for label in classes]
    with replacing(path / CLASSIFIER_FILE) as file:
        file.write(
            save({"directions": directions.contiguous()}, {"class_names": json.dumps(names)})
        )
    export_gallery_network(network, path / ONNX_FILE)
    counted = count_network(path / ONNX_FILE)
    record = {
        "schema_version": SCHEMA_VERSION,
        "network": asdict(network.shape),
        "network_sha256": hashlib.sha256(weights).hexdigest(),
        "input_size_px": network.shape.input_size_px,
        "embedding_dim": network.shape.embedding_dim,
        "macs": counted.macs,
        "parameters": counted.parameters,
        "data_sha256": image_set.sha256,
        "training": facts,
    }
    write_json(path / RECORD_FILE, record)
    return open_gallery(path)


def embed_gallery(gallery: Gallery, image_set: ImageSet) -> Embeddings:
    """Embed every image of ``image_set`` and keep the result in the gallery's folder.

    What is kept already, of this network and this data, is returned as it is.
    """
    path = gallery.path / EMBEDDINGS_FILE
    if path.exists():
        kept = read_embeddings(path)
        hashes = (kept.data_sha256, kept.network_sha256)
        if hashes == (image_set.sha256, gallery.network_sha256):
            return kept
    embeddings = Embeddings(
        rows=gallery.embed(image_set.images),
        item_names=image_set.item_names,
        labels=image_set.labels,
        network_sha256=gallery.network_sha256,
        data_sha256=image_set.sha256,
    )
    write_embeddings(path, embeddings)
    gallery.__dict__.pop("embeddings", None)  # what was read of the old file is kept no longer
    return embeddings


def _resized(images: npt.NDArray[np.uint8], size_px: int) -> npt.NDArray[np.uint8]:
    if images.shape[1] == size_px:
        return images
    small = resize_images(to_float(torch.from_numpy(np.array(images))), size_px)
    result: npt.NDArray[np.uint8] = (
        small.mul(255).round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    )
    return result


def _load_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise BadGallery(f"{path} must hold the gallery network's weights: {error}") from error
