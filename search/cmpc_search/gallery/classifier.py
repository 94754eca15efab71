"""The directions of classes that a classifier learnt, in a file that names the classes."""

import json
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from cmpc_search.data.text import normalised_text
from cmpc_search.errors import BadGallery
from cmpc_search.files import replacing

__all__ = ["read_classifier", "write_classifier"]


def read_classifier(path: Path) -> dict[str, Tensor]:
    """Return the unit direction float32 [D] of each class that a classifier file names.

    Names are normalised as those of data sets are, so that they meet.

    Raises:
        BadGallery: the file lacks them, names a class twice, or has another number of names than
            of directions.
    """
    try:
        with safe_open(path, framework="pt") as file:
            names = json.loads((file.metadata() or {})["class_names"])
            directions = file.get_tensor("directions").float()
        if not isinstance(names, list) or directions.ndim != 2 or not len(directions):
            raise ValueError(f"got {names} and directions of shape {tuple(directions.shape)}")
        found = {
            normalised_text(name): direction
            for name, direction in zip(names, functional.normalize(directions, dim=1), strict=True)
        }
        if len(found) < len(names):
            raise ValueError(f"{len(names) - len(found)} names come twice")
        return found
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise BadGallery(
            f"{path} must hold a tensor `directions` [C, D] and, in its metadata, "
            f"`class_names` as a JSON list of C: {error}"
        ) from error


def write_classifier(path: Path, directions: Tensor, class_names: Sequence[str]) -> None:
    """Write directions [C, D] and the names of their classes."""
    metadata = {"class_names": json.dumps(list(class_names))}
    with replacing(path) as file:
        file.write(save({"directions": directions.contiguous()}, metadata))
