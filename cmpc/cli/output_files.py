"""May a command write there? Asked of every output of every command, before its work begins.

A command must never take from its user what it was not asked to replace: not what it reads from,
under whatever spelling, link or hard link, nor a file of another kind. What it may replace is an
earlier output of the same kind. What can't be written is told before the work and not after it.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cmpc.errors import BadOutput
from cmpc_base.folders import check_new_or_empty, nearest_existing

__all__ = [
    "CERTIFICATE",
    "FAISS",
    "HTML",
    "INDEX",
    "NPY",
    "PNG",
    "SAFETENSORS",
    "FileKind",
    "check_bundle_output",
    "check_embeddings_output",
    "check_new_folder",
    "check_output",
    "pictures_of",
]

NUM_START_BYTES = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class FileKind:
    """A kind of file that commands write.

    Attributes:
        what: Its name for people, with an article.
        start: What the file begins with.
        suffixes: What its name may end in, in lower case.
        needs_suffix: Whether the name must end so, or merely not as that of another kind.
    """

    what: str
    start: re.Pattern[bytes]
    suffixes: tuple[str, ...]
    needs_suffix: bool = True


NPY = FileKind(what="a .npy file", start=re.compile(rb"\x93NUMPY"), suffixes=(".npy",))
SAFETENSORS = FileKind(
    what="a safetensors file", start=re.compile(rb".{8}\{", re.DOTALL), suffixes=(".safetensors",)
)
PNG = FileKind(what="a PNG picture", start=re.compile(rb"\x89PNG\r\n"), suffixes=(".png",))
HTML = FileKind(
    what="an HTML page",
    start=re.compile(rb"\s*<(!doctype )?html", re.IGNORECASE),
    suffixes=(".html", ".htm"),
)
INDEX = FileKind(
    what="an index", start=re.compile(rb"cmpcgidx"), suffixes=(".index",), needs_suffix=False
)
FAISS = FileKind(
    what="a FAISS index",
    start=re.compile(rb"I[BHwx][A-Za-z0-9]{2}"),
    suffixes=(".faiss", ".index"),
    needs_suffix=False,
)
CERTIFICATE = FileKind(
    what="a certificate",
    start=re.compile(rb'\{\s*"format": "cmpc search certificate"'),
    suffixes=(".json",),
)
OTHER_SUFFIXES = {".csv", ".jpeg", ".jpg", ".npz", ".onnx", ".pt", ".toml", ".txt"}
KNOWN_SUFFIXES = OTHER_SUFFIXES.union(
    *(kind.suffixes for kind in (NPY, SAFETENSORS, PNG, HTML, INDEX, FAISS, CERTIFICATE))
)


def check_output(
    option: str, path: Path, kind: FileKind, *, inputs: Iterable[Path | None] = ()
) -> None:
    """Do nothing if ``path`` is free or holds an earlier output, else say why it can't be written.

    Args:
        option: How the user names the output, for the message.
        inputs: The files that the command reads; None and what is no file are passed over. A
            folder of cmpc's own may take a picture or an index beside what is in it.

    Raises:
        BadOutput: the path is that of an input, a folder, a device, a file of another kind, in no
            folder that can be written, or has a name that ends as those of another kind do.
    """
    target = Path(os.path.realpath(path))
    check_folder_of(option, target)
    try:
        found = target.stat()
    except FileNotFoundError:
        check_suffix(option, path, kind)
        return
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "a device or a pipe"
        raise BadOutput(f"{option} must be a file, {path} is {what}; name another one")
    for file in inputs:
        if file is not None and is_same(file, found):
            got = f"got {path}" if path == file else f"{path} is the same file as {file}"
            raise BadOutput(f"{option} must not be what the command reads, {got}; name another one")
    check_suffix(option, path, kind)
    with target.open("rb") as opened:
        start = opened.read(NUM_START_BYTES)
    if start and not kind.start.match(start):
        raise BadOutput(
            f"{option} replaces {kind.what} only, {path} holds something else; name another file, "
            f"or remove this one"
        )


def check_embeddings_output(option: str, path: Path, *, inputs: Iterable[Path | None] = ()) -> None:
    """Check the target of embeddings, whose name chooses between two kinds."""
    kind = NPY if path.suffix.lower() in NPY.suffixes else SAFETENSORS
    if path.suffix.lower() not in (*NPY.suffixes, *SAFETENSORS.suffixes):
        raise BadOutput(
            f"{option} must end in .npy for the bare rows or in .safetensors for rows with names, "
            f"got {path}"
        )
    check_output(option, path, kind, inputs=inputs)


def check_new_folder(option: str, path: Path) -> None:
    """Refuse a folder that holds anything: what is written must not mix with what was there.

    Raises:
        BadOutput: it does, or it is a file, or can't be made.
    """
    check_folder_of(option, Path(os.path.realpath(path)))
    check_new_or_empty(path, what=option, error=BadOutput)


def check_bundle_output(option: str, folder: Path) -> None:
    """Refuse a folder with files of others; one with a bundle is compared with what is built."""
    from cmpc_cost_models.bundles.manifest import MANIFEST_NAME
    from cmpc_cost_models.compiling.entries import LIBRARY_NAME

    bundle_files = (MANIFEST_NAME, LIBRARY_NAME)  # runs have a manifest, too
    if not all((folder / name).exists() for name in bundle_files):
        check_new_folder(option, folder)


def pictures_of(data_set: str | None) -> Iterator[Path]:
    """Yield what a data set of the user's own is read from; of one with a name, nothing."""
    if data_set is None:
        return
    path = Path(data_set)
    yield path
    for folder, _, names in os.walk(path):
        if Path(folder) != path:  # pictures are read in class folders only
            yield from (Path(folder, name) for name in names)
    if path.suffix.lower() == ".csv" and path.is_file():
        from cmpc_search.data.sources.csv_file import listed_files

        yield from listed_files(path)


def check_suffix(option: str, path: Path, kind: FileKind) -> None:
    """Refuse a name that says another kind than the file will be."""
    suffix = path.suffix.lower()
    if suffix in kind.suffixes or not (kind.needs_suffix or suffix in KNOWN_SUFFIXES):
        return
    raise BadOutput(
        f"{option} is {kind.what}, and must end in {' or '.join(kind.suffixes)} to be known, "
        f"got {path}"
    )


def check_folder_of(option: str, target: Path) -> None:
    """Refuse a path in no folder that can be made or written."""
    nearest = nearest_existing(target.parent)
    if not nearest.is_dir():
        raise BadOutput(f"{option} must be in a folder, {nearest} is a file")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise BadOutput(f"{option} must be in a folder that you may write, {nearest} is not")


def is_same(path: Path, found: os.stat_result) -> bool:
    """Say whether a path is that of a file, however it is spelt; that of no file is not."""
    try:
        return os.path.samestat(path.stat(), found)
    except (OSError, ValueError):
        return False
