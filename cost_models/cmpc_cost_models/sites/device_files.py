"""Read the files of a device through a session of TVM's RPC, with a small library sent there.

The server hands out files of its own folder only, and needs no other program than TVM's. So
``native/reader.c`` is compiled here for the target, sent, loaded, and called there.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from cmpc_cost_models.compiling.building import build
from cmpc_cost_models.targets.compilers import require_linker
from cmpc_cost_models.targets.machine import STAT
from cmpc_cost_models.targets.target import Target

__all__ = ["DeviceFiles", "send_library"]

READER = Path(str(files("cmpc_cost_models.sites"))) / "native" / "reader.c"
MOST_BYTES = 1 << 20  # /proc/cpuinfo of 256 processors is half of it
STATUS = "/proc/thread-self/status"
ALLOWED_CPUS = re.compile(r"^Cpus_allowed_list:\s*(\S+)", re.MULTILINE)
ONLINE_CPU = re.compile(r"^cpu(\d+) ", re.MULTILINE)


class DeviceFiles:
    """The files of a device, read by the thread of the session; see ``targets.system_files``.

    Raises:
        CompileFailed: nothing compiles the library here.
        Exception: whatever TVM raises where the device can't load it.
    """

    def __init__(self, session: Any, target: Target) -> None:
        import tvm

        with tempfile.TemporaryDirectory(prefix="cmpc-reader-") as folder:
            library = Path(folder) / "reader.so"
            build(require_linker(target), READER, library, ["-O1", "-shared", "-fPIC"])
            module = send_library(session, library, name=f"cmpc-reader-{target.cpu}.so")
        self._as_tensor, self._device = tvm.runtime.tensor, session.cpu()
        self._read_files, self._pin = module["read_files"], module["pin"]
        self._out = tvm.runtime.empty((MOST_BYTES,), "uint8", self._device)

    def read(self, *patterns: str) -> Mapping[str, str]:
        """Return the text of each file that a pattern names and that can be read, by its path."""
        asked = np.frombuffer(b"".join(one.encode() + b"\0" for one in patterns), np.uint8)
        num_bytes = int(self._read_files(self._as_tensor(asked, self._device), self._out))
        content = self._out.numpy()[:num_bytes].tobytes().decode(errors="replace")
        parts = content.split("\0")[:-1]
        return dict(zip(parts[::2], parts[1::2], strict=True))

    def pin_to_last(self) -> tuple[int, ...]:
        """Keep the session's thread to the last processor it may use; none where that fails.

        The last, since systems put their own work on the first, and boards their fast cores last.
        """
        texts = self.read(STATUS, STAT)
        online = {int(number) for number in ONLINE_CPU.findall(texts.get(STAT, ""))}
        allowed = online & set(_allowed_cpus(texts.get(STATUS, "")))
        return (max(allowed),) if allowed and self._pin(max(allowed)) == 0 else ()


def _allowed_cpus(status: str) -> Iterator[int]:
    """Yield the processors that a process may use, those that are switched off among them."""
    for part in "".join(ALLOWED_CPUS.findall(status)).split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            yield from range(int(first), int(last or first) + 1)


def send_library(session: Any, library: Path, *, name: str) -> Any:
    """Return TVM's module of a library that was sent to a device and loaded there."""
    session.upload(bytearray(library.read_bytes()), name)
    module = session.load_module(name)
    session.remove(name)  # it is loaded; a small board's disk must not fill
    return module
