"""A bundle that is there: is it whole, can this machine run it, and what does it embed?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_base.hashing import file_hash
from cmpc_cost_models.bundles.manifest import MANIFEST_NAME, read_manifest
from cmpc_cost_models.bundles.preprocessing import Preprocessing
from cmpc_cost_models.compiling.entries import LIBRARY_NAME
from cmpc_cost_models.errors import BadBundle
from cmpc_cost_models.records import Cost
from cmpc_cost_models.sites.loaded import LoadedNetwork
from cmpc_cost_models.sites.program import RUNNER_NAME
from cmpc_cost_models.targets.machine import describe_versions
from cmpc_cost_models.targets.target import Target, why_not_here

__all__ = ["Bundle", "open_bundle"]


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle that was found whole, ready to embed images."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def embedding_dim(self) -> int:
        return int(self.manifest["embedding_dim"])

    @property
    def network_sha256(self) -> str:
        """Hash of the compiled network."""
        return str(self.manifest["files"][LIBRARY_NAME]["sha256"])

    @property
    def preprocessing(self) -> Preprocessing:
        record = self.manifest["preprocessing"]
        return Preprocessing(**record | {"background": tuple(record["background"])})

    @property
    def cost(self) -> Cost | None:
        record = self.manifest["cost"]
        return None if record is None else Cost.from_json(record)

    @property
    def cost_doubts(self) -> tuple[str, ...]:
        """Why the cost may not be trusted; empty where it may."""
        return tuple(self.manifest.get("cost_doubts", ()))

    @property
    def why_unmeasured(self) -> str | None:
        """Why nobody measured this network; None where the cost is a measured one."""
        reason = self.manifest.get("why_unmeasured")
        if reason is None and self.manifest["cost"] is None:
            return "whoever wrote the bundle did not know its cost"
        return reason

    @property
    def target(self) -> Target:
        """What the network was compiled for."""
        return Target.from_json(self.manifest["target"])

    @property
    def runner(self) -> Path | None:
        """The native program, if there is one."""
        return self.folder / RUNNER_NAME if RUNNER_NAME in self.manifest["files"] else None

    def embed(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return the embeddings float32 [N, D] of preprocessed images uint8 [N, H, W, 3]."""
        embeddings = np.empty((len(images), self.embedding_dim), np.float32)
        for row, image in zip(embeddings, images, strict=True):
            row[:] = self._network.run(self.preprocessing.as_input(image))[0]
        return embeddings

    @cached_property
    def _network(self) -> LoadedNetwork:
        return LoadedNetwork(self.folder / LIBRARY_NAME, self.manifest["input_shape"])


def open_bundle(folder: Path, *, must_run_here: bool = True) -> Bundle:
    """Open a bundle after checking every file and, if wanted, that this machine can run it.

    Raises:
        BadBundle: a file is missing or altered, or the bundle is for another machine.
    """
    bundle = Bundle(folder=folder, manifest=read_manifest(folder))
    try:
        for problem in _problems(bundle, must_run_here=must_run_here):
            raise BadBundle(f"{folder} can't be used: {problem}")
    except (KeyError, TypeError, AttributeError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else f"is damaged ({error})"
        raise BadBundle(
            f"{folder} must be a bundle made by `cmpc build`, its {MANIFEST_NAME} {what}"
        ) from error
    return bundle


def _problems(bundle: Bundle, *, must_run_here: bool) -> Iterator[str]:
    files = bundle.manifest["files"]
    if LIBRARY_NAME not in files:
        yield f"its manifest must name {LIBRARY_NAME}"
    for name, expected in files.items():
        path = bundle.folder / name
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            yield f"{name!r} lies outside of the bundle"
        elif not path.is_file() or path.stat().st_size != expected["size_bytes"]:
            yield f"{name} is missing or of another size"
        elif file_hash(path) != expected["sha256"]:
            yield f"{name} was altered"
    if problem := bundle.preprocessing.problem:
        yield problem
    if must_run_here:
        target = bundle.manifest["target"]
        if reason := why_not_here(target["triple"], frozenset(target["required_flags"])):
            yield f"{reason}; its program `run` runs there, or here with `cmpc run --emulate`"
        here, there = describe_versions().get("apache-tvm"), bundle.manifest["versions"]
        if here != there.get("apache-tvm"):
            yield f"it needs apache-tvm {there.get('apache-tvm')} and {here} is installed"
