"""Weights that others trained and a package brings, read as tensors alone."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch
from torch import Tensor

from cmpc_base.libraries import missing_library
from cmpc_search.errors import BadGallery

__all__ = ["PretrainedFile", "read_pretrained"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainedFile:
    """A file of torch that an installed package has; the package is never imported."""

    package: str
    path: str


def read_pretrained(file: PretrainedFile) -> Mapping[str, Tensor]:
    """Return the tensors of a file by name.

    Raises:
        MissingLibrary: its package is not installed.
        BadGallery: it is damaged, or holds other things than tensors.
    """
    path = _located(file)
    try:
        found = torch.load(path, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise BadGallery(
            f"{path} must hold pretrained weights, install {file.package} again: {error}"
        ) from error
    if not isinstance(found, dict) or not all(isinstance(one, Tensor) for one in found.values()):
        raise BadGallery(f"{path} must hold tensors by name, install {file.package} again")
    return found


def _located(file: PretrainedFile) -> Path:
    try:
        return Path(str(distribution(file.package).locate_file(file.path)))
    except PackageNotFoundError as error:
        raise missing_library(file.package, "a pretrained network") from error
