"""Where does a kernel run to be timed: in the memory of this process, or on a device over RPC?

Here, LLVM's own linker makes the code runnable: it is what a library would hold, and no file is
written, linked and loaded. A device is sent a library.
"""

import os
import tempfile
from pathlib import Path
from typing import Any, Protocol

from cmpc_cost_models.errors import CompileFailed
from cmpc_cost_models.sites.connection import connect, facts_of
from cmpc_cost_models.targets.compilers import linker_for
from cmpc_cost_models.targets.device import Device
from cmpc_cost_models.targets.target import Target

__all__ = ["Here", "OnDevice", "Site"]


class Site(Protocol):
    """Loads compiled modules; ``device`` is TVM's, for the buffers."""

    device: Any

    def load(self, executable: Any, target: Target) -> Any:
        """Return the module with the kernels of ``executable``, ready to be called."""


class Here:
    """This process."""

    def __init__(self) -> None:
        import tvm

        self.device = tvm.cpu()

    def load(self, executable: Any, target: Target) -> Any:
        return executable.mod


class OnDevice:
    """A device; its session ends with this object.

    Raises:
        DeviceUnreachable: nobody listens, or who listens doesn't let us in.
    """

    def __init__(self, device: Device) -> None:
        self._session = connect(device)
        self.device = self._session.cpu()

    def facts(self) -> dict[str, str | None]:
        """Return what the device tells about itself."""
        return facts_of(self._session)

    def load(self, executable: Any, target: Target) -> Any:
        from tvm.support import cc

        linker = linker_for(target)
        if linker is None:
            raise CompileFailed(f"linking for {target.name} needs a C++ compiler, found none")
        with tempfile.TemporaryDirectory(prefix="cmpc-kernel-") as folder:
            library = Path(folder) / f"kernel-{os.urandom(8).hex()}.so"
            executable.export_library(str(library), fcompile=cc.cross_compiler(linker))
            self._session.upload(str(library), library.name)
        module = self._session.load_module(library.name)
        self._session.remove(library.name)  # it is loaded; a small board's disk must not fill
        return module
