"""The directions of classes that a classifier learnt, in a file that names the classes."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from cmpc_base.files import replacing
from cmpc_base.names import few
from cmpc_search.data import ImageSet
from cmpc_search.data.text import normalised_text
from cmpc_search.directions import unit_rows
from cmpc_search.errors import BadGallery

__all__ = [
    "check_knows",
    "directions_for",
    "read_classifier",
    "training_classes",
    "write_classifier",
]


def read_classifier(path: Path) -> dict[str, Tensor]:
    """Return the unit direction float32 [D] of each class that a classifier file names.

    Names are normalised as those of data sets are, so that they meet.

    Raises:
        BadEmbeddings: a direction is none, such as one of zeros.
        BadGallery: the file lacks them, or doesn't name each differently.
    """
    try:
        with safe_open(path, framework="pt") as file:
            names = json.loads((file.metadata() or {})["class_names"])
            directions = file.get_tensor("directions").float()
        if not isinstance(names, list) or directions.ndim != 2 or not len(directions):
            raise ValueError(f"got {names} and directions of shape {tuple(directions.shape)}")
        known = dict(zip(map(normalised_text, names), directions, strict=True))
        if len(known) < len(names):
            raise ValueError(f"{len(names) - len(known)} names come twice")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise BadGallery(
            f"{path} must hold a tensor `directions` [C, D] and, in its metadata, "
            f"`class_names` as a JSON list of C: {error}"
        ) from error

    rows = unit_rows(directions.numpy(), names, f"the directions of {path}")
    return dict(zip(known, torch.from_numpy(rows), strict=True))


def training_classes(image_set: ImageSet) -> list[str]:
    """Name the classes that have training images, in the order of their labels."""
    labels = image_set.labels_in(image_set.select(split="train"))
    return [image_set.class_names[label] for label in labels]


def directions_for(
    image_set: ImageSet, stored: Mapping[str, Tensor], keys: Mapping[str, str]
) -> dict[str, Tensor]:
    """Return those of the stored directions that are of classes of a set, by its names of them.

    A class is known by its key; by its name where one of the two has no key but its name.

    Args:
        image_set: The classes that are asked for.
        stored: A direction float32 [D] by the name of its class.
        keys: Keys of stored classes by their names; one that isn't here has no key but its name.
    """
    by_key = {keys.get(name, name): direction for name, direction in stored.items()}
    found = {}
    for key, name in zip(image_set.class_keys, image_set.class_names, strict=True):
        direction = by_key.get(key, by_key.get(name))
        if direction is None and key == name:
            direction = stored.get(name)
        if direction is not None:
            found[name] = direction
    return found


def check_knows(classifier: Collection[str], image_set: ImageSet, path: Path) -> None:
    """Refuse a classifier, given as its class names, that lacks training classes.

    Raises:
        BadGallery: it does.
    """
    names = training_classes(image_set)
    lacking = [name for name in names if name not in classifier]
    if lacking:
        raise BadGallery(
            f"the classifier {path} must have a direction for each of the {len(names)} training "
            f"classes of {image_set.name}, it lacks {len(lacking)}: "
            f"{few([repr(name) for name in lacking])}; "
            "add them, or import without a classifier: class means of the embeddings stand in"
        )


def write_classifier(path: Path, directions: Tensor, class_names: Sequence[str]) -> None:
    """Write directions [C, D] and the names of their classes."""
    metadata = {"class_names": json.dumps(list(class_names))}
    with replacing(path) as file:
        file.write(save({"directions": directions.contiguous()}, metadata))
