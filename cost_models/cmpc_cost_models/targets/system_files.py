"""What does a machine's system tell of it? The text files of /proc and /sys, read here or afar.

Whoever can read files of a machine can tell which one it is (``fingerprint``) and what went on
there (``timing.conditions``): in this process, or through a library that a device has loaded
(``sites.rpc``).
"""

from collections.abc import Mapping
from contextlib import suppress
from glob import glob
from itertools import chain
from pathlib import Path
from typing import Protocol

__all__ = ["NO_FILES", "OWN_FILES", "NoFiles", "OwnFiles", "SystemFiles", "read_line"]


class SystemFiles(Protocol):
    """Reads files of one machine, as the thread that times there."""

    def read(self, *patterns: str) -> Mapping[str, str]:
        """Return the text of each file that a pattern names and that can be read, by its path."""


class OwnFiles:
    """Reads files of this machine."""

    def read(self, *patterns: str) -> Mapping[str, str]:
        texts = {}
        for path in chain.from_iterable(map(glob, patterns)):
            with suppress(OSError):  # a thread that has just ended, a sensor that is off
                texts[path] = Path(path).read_text(errors="replace")
        return texts


class NoFiles:
    """Reads nothing: the files of a machine that lets nobody read them."""

    def read(self, *patterns: str) -> Mapping[str, str]:
        return {}


OWN_FILES = OwnFiles()
NO_FILES = NoFiles()


def read_line(path: str) -> str | None:
    """Return the one line of a file of this machine; ``None`` where there is none."""
    return OWN_FILES.read(path).get(path, "").strip() or None
