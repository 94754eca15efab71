"""Read every picture of a source once, at one size, and keep the arrays.

    pictures --read--> draft [N0, S, S, 3] --drop broken, identical, lone--> images.npy and friends

What the seed decides (open roles and splits) is not decided here: it is stored as OPEN.
"""

import hashlib
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_search.data.base import ROLES, SPLITS, Drops
from cmpc_search.data.cache import new_folder, read_record, write_record
from cmpc_search.data.source import Picture, Source
from cmpc_search.errors import BadData

__all__ = ["OPEN", "PreparedImages", "Progress", "prepare_images", "read_prepared"]

OPEN = -1
"""Stands for a role or split that the source leaves to the seed."""

FORMAT_VERSION = 2

Progress = Callable[[int, int], None]
"""Called with how many pictures are done, and of how many."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PreparedImages:
    """What is on disk: an ImageSet before the seed has spoken."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    roles: npt.NDArray[np.int8]
    splits: npt.NDArray[np.int8]
    class_names: tuple[str, ...]
    item_names: tuple[str, ...]
    licences: tuple[str, ...]
    drops: Drops
    sha256: str
    """Over the record with the sha256 of every array in it."""


def prepare_images(
    source: Source, *, size_px: int, folder: Path, progress: Progress | None = None
) -> None:
    """Write the prepared arrays of a source to ``folder``, all of them or none."""
    pictures = source.pictures()
    _check_names(pictures)
    _check_space(folder, num_bytes=2 * len(pictures) * size_px**2 * 3)  # the draft and the result
    with new_folder(folder) as temporary, tempfile.TemporaryFile(dir=temporary) as file:
        shape = (max(len(pictures), 1), size_px, size_px, 3)
        draft = np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)
        is_kept, drops = _read_all(pictures, draft, progress)
        kept = [picture for picture, keep in zip(pictures, is_kept, strict=True) if keep]
        if not kept:
            raise BadData(
                f"{source.name} has no usable class: {len(pictures)} images, {drops.num_broken} of "
                f"them broken, {drops.num_identical} identical to one of another class, "
                f"{drops.num_lone} without a partner in their class"
            )
        class_names = tuple(dict.fromkeys(picture.class_name for picture in kept))
        _write_images(temporary / "images.npy", draft, np.flatnonzero(is_kept))
        _write_facts(temporary, kept, class_names)
        record = {
            "format_version": FORMAT_VERSION,
            "class_names": class_names,
            "item_names": [picture.item_name for picture in kept],
            "licences": source.licences,
            "drops": asdict(drops),
        }
        write_record(temporary, record)


def read_prepared(folder: Path) -> PreparedImages:
    """Return the arrays of a prepared folder, images memory-mapped; BadData if anything changed."""
    record = read_record(folder)
    arrays = {
        name: np.load(folder / f"{name}.npy", allow_pickle=False)
        for name in ("labels", "roles", "splits")
    }
    return PreparedImages(
        images=np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False),
        class_names=tuple(record["class_names"]),
        item_names=tuple(record["item_names"]),
        licences=tuple(record["licences"]),
        drops=Drops(**record["drops"]),
        sha256=_content_sha256(record),
        **arrays,
    )


def _content_sha256(record: dict[str, Any]) -> str:
    parts = [*sorted(record["sha256"].items()), *record["class_names"], *record["item_names"]]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _check_names(pictures: Sequence[Picture]) -> None:
    seen: set[str] = set()
    for picture in pictures:
        if picture.item_name in seen:
            raise BadData(f"item names must be unique, got {picture.item_name!r} twice")
        seen.add(picture.item_name)


def _check_space(folder: Path, *, num_bytes: int) -> None:
    """A memory map on a full disk ends the process by a signal, so look before."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder.parent).free
    if free < num_bytes:
        raise BadData(
            f"{num_bytes / 1e9:.1f} GB must be free in {folder.parent} to prepare the images, "
            f"got {free / 1e9:.1f} GB; choose a smaller size or another cache folder"
        )


def _read_all(
    pictures: Sequence[Picture], draft: npt.NDArray[np.uint8], progress: Progress | None
) -> tuple[npt.NDArray[np.bool_], Drops]:
    """Fill the draft; return which pictures to keep, and why the others are not."""
    is_kept = np.ones(len(pictures), dtype=np.bool_)
    classes_by_digest: dict[bytes, set[str]] = defaultdict(set)
    digests = [b""] * len(pictures)
    for position, picture in enumerate(pictures):
        try:
            draft[position] = picture.read(draft.shape[1])
        except BadData:
            is_kept[position] = False
        else:
            digests[position] = hashlib.sha256(draft[position].tobytes()).digest()
            classes_by_digest[digests[position]].add(picture.class_name)
        if progress is not None:
            progress(position + 1, len(pictures))
    num_broken = int(np.count_nonzero(~is_kept))
    is_identical = np.array([len(classes_by_digest[digest]) > 1 for digest in digests], dtype=bool)
    is_kept &= ~is_identical
    num_paired = np.count_nonzero(is_kept)
    is_kept &= _has_partner(pictures, is_kept)
    drops = Drops(
        num_broken=num_broken,
        num_identical=int(np.count_nonzero(is_identical)),
        num_lone=int(num_paired - np.count_nonzero(is_kept)),
    )
    return is_kept, drops


def _has_partner(
    pictures: Sequence[Picture], is_kept: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Whether each class keeps two images, on both sides of the search if the source has sides."""
    roles_by_class: dict[str, list[str | None]] = defaultdict(list)
    for picture, keep in zip(pictures, is_kept, strict=True):
        if keep:
            roles_by_class[picture.class_name].append(picture.role)
    usable = {
        name
        for name, roles in roles_by_class.items()
        if len(roles) > 1 and (roles[0] is None or len(set(roles)) > 1)
    }
    return np.array([picture.class_name in usable for picture in pictures], dtype=np.bool_)


def _write_images(
    path: Path, draft: npt.NDArray[np.uint8], positions: npt.NDArray[np.int64]
) -> None:
    images = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.uint8, shape=(len(positions), *draft.shape[1:])
    )
    for place, position in enumerate(positions):  # one by one: the set may not fit in memory
        images[place] = draft[position]
    images.flush()


def _write_facts(folder: Path, kept: Sequence[Picture], class_names: tuple[str, ...]) -> None:
    labels = {name: label for label, name in enumerate(class_names)}
    np.save(folder / "labels.npy", np.array([labels[p.class_name] for p in kept], dtype=np.int64))
    np.save(folder / "roles.npy", _positions([p.role for p in kept], ROLES))
    np.save(folder / "splits.npy", _positions([p.split for p in kept], SPLITS))


def _positions(names: list[str | None], known: tuple[str, ...]) -> npt.NDArray[np.int8]:
    return np.array([OPEN if name is None else known.index(name) for name in names], dtype=np.int8)
