"""What lies in a data set's folder and is not taken as a picture: counted, so that it can be said.

A picture that is silently not read is missed by nobody, until the classes it would have filled are
found wanting. Files are counted by why they were passed over, their suffix and their depth.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

from cmpc_base.printable import printable

__all__ = [
    "JUNK_FOLDERS",
    "MAX_COUNTED",
    "PassReason",
    "PassedOver",
    "count_passed_over",
    "files_below",
]

MAX_COUNTED = 100_000
"""Of the files in folders that are not looked into: somebody may name the whole disk."""

JUNK_FOLDERS = frozenset(
    {
        *("__macosx", "@eadir", "lost+found", "#recycle", "$recycle.bin"),
        *("system volume information", "__pycache__"),
    }
)
"""What archives and file servers leave behind, in small letters; no class is called so."""


class PassReason(StrEnum):
    """Why a file is not taken as a picture."""

    SUFFIX = "suffix"
    DEEPER = "deeper"
    BESIDE = "beside"
    HIDDEN = "hidden"
    JUNK = "junk"
    MISSING = "missing"
    SPECIAL = "special"


EXPLANATIONS = {
    PassReason.SUFFIX: "no suffix of a picture that is read here",
    PassReason.DEEPER: "in a folder inside a class folder",
    PassReason.BESIDE: "outside the class folders",
    PassReason.HIDDEN: "the name begins with a dot",
    PassReason.JUNK: "left there by another program",
    PassReason.MISSING: "a link that leads to no file",
    PassReason.SPECIAL: "no regular file",
}

OTHER_PICTURES = frozenset(
    {
        *(".heic", ".heif", ".jxl", ".svgz", ".eps", ".pdf", ".ai"),
        *(".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".raw", ".rw2"),
    }
)
"""Pictures that people have and that are not read here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PassedOver:
    """How many files of one suffix, at one depth, are passed over for one reason."""

    reason: PassReason
    suffix: str
    """In small letters, such as ".heic"; "" where there is none."""
    depth: int
    """Names in the path below the data set's folder: 2 for class/1.jpg."""
    count: int
    example: str
    """The first of them, below the data set's folder."""
    is_all: bool = True
    """Whether that is how many there are; False where counting stopped at MAX_COUNTED."""

    def describe(self) -> str:
        """Return it in one line for people."""
        kind = f"{self.suffix} " if self.suffix else ""
        files = "file" if self.count == 1 else "files"
        at_least = "" if self.is_all else "at least "
        return (
            f"{at_least}{self.count} {kind}{files} at depth {self.depth}: "
            f"{EXPLANATIONS[self.reason]}, such as {self.example}{self._advice()}"
        )

    def _advice(self) -> str:
        if self.reason == PassReason.SUFFIX and self.suffix in OTHER_PICTURES:
            return "; convert them to JPEG or PNG to have them read"
        return ""


def count_passed_over(
    found: Iterable[tuple[Path, PassReason]], root: Path, *, is_all: bool = True
) -> list[PassedOver]:
    """Count files by reason, suffix and depth; in the order in which each kind was met."""
    groups: dict[tuple[PassReason, str, int], list[Path]] = {}
    for path, reason in found:
        below = path.relative_to(root)
        key = (reason, printable(path.suffix.lower()), len(below.parts))
        groups.setdefault(key, []).append(below)
    return [
        PassedOver(
            reason=reason,
            suffix=suffix,
            depth=depth,
            count=len(paths),
            example=printable(paths[0].as_posix()),
            is_all=is_all,
        )
        for (reason, suffix, depth), paths in groups.items()
    ]


def files_below(folders: Iterable[tuple[Path, PassReason]]) -> Iterator[tuple[Path, PassReason]]:
    """Yield the files in folders that are not looked into, at most MAX_COUNTED of them."""
    files = (
        (Path(parent) / name, reason)
        for folder, reason in folders
        for parent, _, names in os.walk(folder)
        for name in sorted(names)
    )
    return islice(files, MAX_COUNTED)
