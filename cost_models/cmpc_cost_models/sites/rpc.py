"""A device that runs a server of TVM's: code is sent there, run there and timed by its own clock.

What the device tells of itself it tells through a library that is sent first (``device_files``).
One that can't load it is still measured: its facts are unknown, and so are the conditions.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Self

from cmpc_base.hashing import file_hash
from cmpc_cost_models.records.evidence import Fingerprint
from cmpc_cost_models.sites.base import Site, SiteFacts
from cmpc_cost_models.sites.connection import connect
from cmpc_cost_models.sites.device_files import DeviceFiles, send_library
from cmpc_cost_models.sites.loaded import ModuleNetwork
from cmpc_cost_models.targets.compilers import require_linker
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.targets.fingerprint import features_of, fingerprint_of
from cmpc_cost_models.targets.system_files import NO_FILES
from cmpc_cost_models.targets.target import Target
from cmpc_cost_models.timing.conditions import Snapshot, take_snapshot

__all__ = ["RpcSite"]

TRIPLE = "target.llvm_get_system_triple"


class RpcSite(Site):
    """A device; its session ends with this object.

    Args:
        target: What is compiled for it.

    Raises:
        DeviceUnreachable: nobody listens, or who listens doesn't let us in.
    """

    def __init__(self, device: Device, target: Target) -> None:
        self._target = target
        self._session = connect(device)
        self._files = _files_of(self._session, target)
        self._cpus = self._files.pin_to_last() if self._files else ()

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        return cls(Device(**document["device"]), Target.from_json(document["target"]))

    def load(self, library: Path, input_shape: Sequence[int]) -> ModuleNetwork:
        module = send_library(self._session, library, name=f"{file_hash(library)[:16]}.so")
        return ModuleNetwork(module, self._session.cpu(), input_shape)

    def load_kernels(self, executable: Any) -> tuple[Any, Any]:
        from tvm.support import cc

        linker = require_linker(self._target)
        with tempfile.TemporaryDirectory(prefix="cmpc-kernel-") as folder:
            library = Path(folder) / "kernel.so"
            executable.export_library(str(library), fcompile=cc.cross_compiler(linker))
            module = send_library(self._session, library, name=f"kernel-{os.urandom(8).hex()}.so")
        return module, self._session.cpu()

    def facts(self) -> SiteFacts:
        if self._files is None:
            return SiteFacts(fingerprint=Fingerprint(architecture=_architecture_of(self._session)))
        # What was compiled for the target was loaded there: so much is known.
        fingerprint = fingerprint_of(self._files, architecture=self._target.architecture)
        return SiteFacts(fingerprint=fingerprint, features=features_of(self._files))

    def prepared(self) -> AbstractContextManager[None]:
        return nullcontext()  # its thread is pinned for as long as the session lasts

    def observe(self) -> Snapshot:
        return take_snapshot(self._cpus, self._files or NO_FILES)


def _files_of(session: Any, target: Target) -> DeviceFiles | None:
    try:
        return DeviceFiles(session, target)
    # Without a compiler, with another system or on another processor there is nothing to read with.
    except Exception:
        return None


def _architecture_of(session: Any) -> str | None:
    """Return the device's architecture; ``None`` where its TVM lacks the function."""
    try:
        return str(session.get_function(TRIPLE)()).partition("-")[0]
    except Exception:  # a runtime without the compiler has no such function
        return None
