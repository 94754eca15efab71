"""Who times on which core? Processes that time at once keep out of each other's way.

    <temporary folder>/cmpc-<user id>/core-3.lock    held with flock by whoever times on core 3

Two searches that pin their threads to the same core doubt each other for ever. So a core is leased
for as long as something may be timed on it, the best free one first; the system gives it back
when the process ends, however it ends. Where too few are free the best are shared, and each timing
says so until the others have gone.
"""

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from cmpc_base.closeable import Closeable
from cmpc_base.locks import open_locked
from cmpc_cost_models.errors import BadArgument
from cmpc_cost_models.targets.machine import core_of, rank_cpus

__all__ = ["CpuLease"]


class CpuLease(Closeable):
    """Processors for threads to be timed on, one each.

    Args:
        wanted: These processors and no others; by default the best free ones.
        folder: Where the locks are; by default one of this user's own.

    Attributes:
        cpus: The processors.

    Raises:
        BadArgument: there are fewer processors than threads: they would share one.
    """

    def __init__(
        self, num_threads: int, *, wanted: Sequence[int] = (), folder: Path | None = None
    ) -> None:
        self._folder = folder or _own_folder()
        self._held: dict[str, TextIO | None] = {}
        self.cpus = tuple(wanted or self._free_first(num_threads))
        if len(self.cpus) != num_threads:
            self.close()
            raise BadArgument(
                f"each of {num_threads} threads must have a processor of its own, "
                f"got {len(self.cpus)}: {list(self.cpus)}; time with fewer threads or name more "
                "processors"
            )
        self._take()

    def doubts(self) -> Iterator[str]:
        """Say why the timing that just ended may not be trusted: others had some of the processors.

        Those that have become free meanwhile are leased for the next timing, not for that one.
        """
        shared = [cpu for cpu in self.cpus if core_of(cpu) not in self._held]
        self._take()
        if shared:
            numbers = ", ".join(map(str, shared))
            yield (
                f"another process of cmpc times on the same processor ({numbers}): "
                "each disturbs the other"
            )

    def close(self) -> None:
        """Give the processors back."""
        for file in self._held.values():
            if file is not None:
                file.close()
        self._held.clear()

    def _free_first(self, number: int) -> list[int]:
        """Lease processors, best first, and fill up with the best of those that others have."""
        ranked = rank_cpus()
        free: list[int] = []
        for cpu in ranked:  # one by one: who locks more than it needs keeps others from them
            if len(free) < number and self._lock(core_of(cpu)):
                free.append(cpu)
        taken = [cpu for cpu in ranked if cpu not in free]
        return (free + taken)[:number]

    def _take(self) -> None:
        for cpu in self.cpus:
            self._lock(core_of(cpu))

    def _lock(self, core: str) -> bool:
        """Take the lock of a core, unless another process has it."""
        if core in self._held:
            return True
        try:
            self._held[core] = open_locked(self._folder / _name_of(core)) if self._folder else None
        except BlockingIOError:
            return False
        except OSError:  # as where there is no folder: nobody can be asked
            self._held[core] = None
        return True


def _name_of(core: str) -> str:
    return f"core-{re.sub('[^0-9]+', '-', core)}.lock"


def _own_folder() -> Path | None:
    """Return this user's folder for locks; None where it can't be made or is somebody else's."""
    folder = Path(tempfile.gettempdir()) / f"cmpc-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        is_own = folder.lstat().st_uid == os.getuid() and not folder.is_symlink()
    except OSError:
        return None
    return folder if is_own and os.access(folder, os.W_OK) else None
