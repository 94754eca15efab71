"""Who worked on a run, when, where and with what: the evidence behind its numbers.

One entry a process. A run that was resumed on another machine or with another TVM shows it here,
which matters since latencies of two machines must not be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cmpc_base.json_files import write_json
from cmpc_base.locks import exclusive
from cmpc_cost_models.targets.machine import describe_machine, describe_versions
from cmpc_search.errors import BadRun
from cmpc_search.json_records import read_record
from cmpc_search.runs.folder import RunFolder

__all__ = ["note_session"]

SCHEMA_VERSION = 1
PACKAGES = ("cmpc", "numba", "optuna", "torch")  # beside those that cost models name


@dataclass(frozen=True, slots=True)
class _Manifest:
    """What manifest.json holds, beside the inputs of the run."""

    sessions: list[dict[str, Any]]


def note_session(run: RunFolder, command: Sequence[str]) -> None:
    """Add this process to the manifest of ``run``.

    Args:
        command: What was typed, for whoever wants to do it again.
    """
    entry = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "machine": describe_machine(),
        "versions": describe_versions(*PACKAGES),
    }
    with exclusive(run.path / "manifest.lock", doing=f"notes its work in {run.path}"):
        path = run.manifest_path
        earlier = read_record(path, _Manifest, error=BadRun).sessions if path.exists() else []
        document = {
            "schema_version": SCHEMA_VERSION,
            "inputs": run.inputs,
            "sessions": [*earlier, entry],
        }
        write_json(path, document)
