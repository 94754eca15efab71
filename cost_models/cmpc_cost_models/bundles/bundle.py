"""What is shipped: a folder that runs a network on its target, and proves that it is whole.

    bundle/
      manifest.json           what this is, for which machine, what it costs, every file's hash
      network.so              code and weights: the very file that was measured
      lib/libtvm_*.so         TVM's runtime, from the installed wheels
      run, runner.cc          a native program that needs no Python, where a C++ compiler was found

A bundle is written beside its place, run once and moved there, so that it exists whole and right or
not at all. ``verification`` in the manifest says who ran it and how near its answer was to ONNX
Runtime's; it is null where nobody could.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cmpc_base.folders import check_new_or_empty, folder_draft
from cmpc_base.hashing import file_hash
from cmpc_base.json_files import read_json, write_json
from cmpc_cost_models.bundles.preprocessing import Preprocessing
from cmpc_cost_models.compiling.entries import LIBRARY_NAME
from cmpc_cost_models.errors import BadArgument, BadBundle
from cmpc_cost_models.records import CompiledNetwork, Cost
from cmpc_cost_models.sites.loaded import LoadedNetwork
from cmpc_cost_models.sites.program import RUNNER_NAME, build_runner, copy_runtime
from cmpc_cost_models.targets.machine import describe_versions
from cmpc_cost_models.targets.target import Target, why_not_here

__all__ = [
    "MANIFEST_NAME",
    "Bundle",
    "BundleContents",
    "Preprocessing",
    "open_bundle",
    "write_bundle",
]

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = 1

Verify = Callable[[Path], Mapping[str, Any]]  # folder of the draft -> what stands in the manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleContents:
    """What goes into a bundle.

    Attributes:
        cost: The measured or predicted cost of ``compiled``, if it is known.
        cost_doubts: Why the cost may not be trusted; empty where it may.
        why_unmeasured: Why nobody measured ``compiled``; None where its cost is a measured one.
        provenance: Where the network comes from: JSON values, for people and tools.
    """

    compiled: CompiledNetwork
    target: Target
    preprocessing: Preprocessing
    cost: Cost | None = None
    cost_doubts: tuple[str, ...] = ()
    why_unmeasured: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.cost is not None and self.cost.artefact_sha256 != self.compiled.sha256:
            raise BadArgument(
                "the cost of a bundle must be that of its network, got that of "
                f"{self.cost.artefact_sha256} for {self.compiled.sha256}"
            )
        if problem := self.preprocessing.problem:
            raise BadArgument(f"a bundle can't be written: {problem}")
        size_px = self.preprocessing.size_px
        if self.compiled.input_shape != (1, 3, size_px, size_px):
            raise BadArgument(
                f"a network for {size_px} px must read (1, 3, {size_px}, {size_px}), "
                f"got {self.compiled.input_shape}"
            )


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

    def network_input(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return one RGB image uint8 [H, W, 3] as what the network reads, float32 [1, 3, H, W]."""
        return self.preprocessing.as_input(image)

    def embed(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return the embeddings float32 [N, D] of preprocessed images uint8 [N, H, W, 3]."""
        embeddings = np.empty((len(images), self.embedding_dim), np.float32)
        for row, image in zip(embeddings, images, strict=True):
            row[:] = self._network.run(self.network_input(image))[0]
        return embeddings

    @cached_property
    def _network(self) -> LoadedNetwork:
        return LoadedNetwork(self.folder / LIBRARY_NAME, self.manifest["input_shape"])

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the manifest of ``folder`` without checking the files it names."""
        path = folder / MANIFEST_NAME
        manifest = read_json(path, error=BadBundle, advice="give a folder made by `cmpc build`")
        version = manifest.get("schema_version")
        if version != SCHEMA_VERSION:
            raise BadBundle(f"{path} must have schema_version {SCHEMA_VERSION}, got {version!r}")
        return cls(folder=folder, manifest=manifest)


def write_bundle(
    folder: Path,
    contents: BundleContents,
    *,
    with_runner: bool,
    runtime_folder: Path | None = None,
    verify: Verify | None = None,
) -> Bundle:
    """Write a bundle to ``folder``, which must be new or empty.

    Args:
        with_runner: Compile the native program; needs a C++ compiler for the target.
        runtime_folder: Where the target's libtvm_runtime.so and libtvm_ffi.so are; by default
            those of the installed packages, which only fit targets of this processor's kind.
        verify: Runs the finished draft and tells what it found; what it raises ends the writing.

    Raises:
        BadArgument: ``folder`` holds something, the library isn't what was compiled, or no
            runtime fits.
        CompileFailed: the native program does not compile.
    """
    check_new_or_empty(folder, what="a bundle", error=BadArgument)
    with folder_draft(folder) as draft:
        shutil.copyfile(contents.compiled.path, draft / LIBRARY_NAME)
        if file_hash(draft / LIBRARY_NAME) != contents.compiled.sha256:
            raise BadArgument(f"{contents.compiled.path} must be the library that was compiled")
        copy_runtime(contents.target, draft, runtime_folder)
        if with_runner:
            build_runner(contents.target, draft, contents.compiled.input_shape)
        manifest = _manifest(contents, draft, None if verify is None else verify(draft))
        write_json(draft / MANIFEST_NAME, manifest)
    return open_bundle(folder, must_run_here=False)


def open_bundle(folder: Path, *, must_run_here: bool = True) -> Bundle:
    """Open a bundle after checking every file and, if wanted, that this machine can run it.

    Raises:
        BadBundle: a file is missing or altered, or the bundle is for another machine.
    """
    bundle = Bundle.read(folder)
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
        architecture = target["triple"].partition("-")[0]
        if reason := why_not_here(architecture, frozenset(target["required_flags"])):
            yield f"{reason}; its program `run` runs there, or here with `cmpc run --emulate`"
        here, there = describe_versions().get("apache-tvm"), bundle.manifest["versions"]
        if here != there.get("apache-tvm"):
            yield f"it needs apache-tvm {there.get('apache-tvm')} and {here} is installed"


def _manifest(
    contents: BundleContents, draft: Path, verification: Mapping[str, Any] | None
) -> dict[str, Any]:
    files = sorted(path for path in draft.rglob("*") if path.is_file())
    return {
        "schema_version": SCHEMA_VERSION,
        "target": contents.target.to_json(),
        "input_shape": list(contents.compiled.input_shape),
        "embedding_dim": contents.compiled.output_shape[-1],
        "preprocessing": asdict(contents.preprocessing),
        "cost": contents.cost and contents.cost.to_json(),
        "cost_doubts": list(contents.cost_doubts),
        "why_unmeasured": contents.why_unmeasured,
        "verification": verification and dict(verification),
        "graph_sha256": contents.compiled.graph_sha256,
        "provenance": dict(contents.provenance),
        "versions": describe_versions(),
        "files": {
            path.relative_to(draft).as_posix(): {
                "sha256": file_hash(path),
                "size_bytes": path.stat().st_size,
            }
            for path in files
        },
    }
