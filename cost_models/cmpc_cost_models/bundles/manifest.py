"""What does a bundle say of itself? What goes into one, and the document that tells of it.

    manifest.json           what this is, for which machine, what it costs, every file's hash

``verification`` says who ran the bundle and how near its answer was to ONNX Runtime's; it is null
where nobody could.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cmpc_base.hashing import file_hash
from cmpc_base.json_files import read_json
from cmpc_cost_models.bundles.preprocessing import Preprocessing
from cmpc_cost_models.errors import BadArgument, BadBundle
from cmpc_cost_models.records import CompiledNetwork, Cost
from cmpc_cost_models.targets.machine import describe_versions
from cmpc_cost_models.targets.target import Target

__all__ = ["MANIFEST_NAME", "BundleContents", "manifest_of", "read_manifest"]

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = 1


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


def read_manifest(folder: Path) -> Mapping[str, Any]:
    """Read the manifest of ``folder`` without checking the files it names.

    Raises:
        BadBundle: there is none, or it is of another version.
    """
    path = folder / MANIFEST_NAME
    manifest = read_json(path, error=BadBundle, advice="give a folder made by `cmpc build`")
    version = manifest.get("schema_version")
    if version != SCHEMA_VERSION:
        raise BadBundle(f"{path} must have schema_version {SCHEMA_VERSION}, got {version!r}")
    return manifest


def manifest_of(
    contents: BundleContents, draft: Path, verification: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what the manifest says of the files in ``draft``, its own not among them."""
    files = sorted(path for path in draft.rglob("*") if path.is_file())
    return {
        "schema_version": SCHEMA_VERSION,
        "target": contents.target.to_json(),
        "executor": contents.compiled.executor,
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
