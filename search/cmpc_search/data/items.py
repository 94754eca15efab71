"""Which pictures of a source take part, in which class and on which side: decided once.

Every picture is looked at once, at one size that has nothing to do with the size that anybody
works at. A gallery network at 224 px and a query network at 32 px then see the same items of the
same classes, though two pictures that differ at 224 px may well be equal at 32.

    pictures --reading--> digests at 64 px --drop broken, identical, repeated, lone--> Items

What the seed decides (open roles and splits) is not decided here: it is stored as OPEN.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_search.data.cache import read_record, write_record
from cmpc_search.data.image_set import NO_CLASS, ROLES, SPLITS, Dropped, DropReason, Drops
from cmpc_search.data.reading import digest
from cmpc_search.data.sources.base import Picture, Source
from cmpc_search.data.text import normalised_text
from cmpc_search.errors import BadData, UnusablePicture

__all__ = [
    "FORMAT_VERSION",
    "OPEN",
    "Items",
    "decide_items",
    "read_items",
]

OPEN = -1
"""Stands for a role or split that the source leaves to the seed."""

FORMAT_VERSION = 3


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Items:
    """What is known of a source at every size. N items, C classes."""

    item_names: tuple[str, ...]
    class_names: tuple[str, ...]
    class_keys: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    """[N] positions in class_names, or NO_CLASS."""
    roles: npt.NDArray[np.int8]
    """[N] positions in ROLES, or OPEN."""
    splits: npt.NDArray[np.int8]
    """[N] positions in SPLITS, or OPEN."""
    groups: tuple[str, ...] | None
    """[N], where they come from; None where the source doesn't say."""
    licences: tuple[str, ...]
    drops: Drops
    sha256: str
    """Over all of it but prose."""

    def __len__(self) -> int:
        return len(self.item_names)


def decide_items(
    source: Source, pictures: Sequence[Picture], digests: npt.NDArray[np.uint8], folder: Path
) -> None:
    """Write to ``folder`` which of the pictures, whose digests are given, take part.

    Raises:
        BadData: an item name comes twice, or no picture is left.
    """
    _check_names(pictures)
    named = [_with_normalised_class(picture) for picture in pictures]
    drops = _find_drops(source, named, digests)
    kept = [picture for position, picture in enumerate(named) if position not in drops]
    left_out = Drops(items=tuple(drops[position] for position in sorted(drops)))
    if all(picture.class_name is None for picture in kept):
        raise BadData(
            f"{source.name} must have a class with two usable images, it has none; "
            f"{left_out.describe()}"
        )
    _write_items(folder, kept, left_out, source.licences)


def read_items(folder: Path) -> Items:
    """Return what was decided; BadData if anything in the folder changed since."""
    record = read_record(folder)
    arrays = {
        name: np.load(folder / f"{name}.npy", allow_pickle=False)
        for name in ("labels", "roles", "splits")
    }
    dropped = (Dropped(**{**one, "reason": DropReason(one["reason"])}) for one in record["dropped"])
    return Items(
        item_names=tuple(record["item_names"]),
        class_names=tuple(record["class_names"]),
        class_keys=tuple(record["class_keys"]),
        groups=tuple(record["groups"]) if "groups" in record else None,
        licences=tuple(record["licences"]),
        drops=Drops(items=tuple(dropped)),
        sha256=_content_sha256(record),
        **arrays,
    )


def _content_sha256(record: dict[str, Any]) -> str:
    parts = [record["sha256"], record["item_names"], record["class_names"], record["class_keys"]]
    if "groups" in record:
        parts.append(record["groups"])
    return hashlib.sha256(repr([FORMAT_VERSION, *parts]).encode()).hexdigest()


def _check_names(pictures: Sequence[Picture]) -> None:
    seen: set[str] = set()
    for picture in pictures:
        if picture.item_name in seen:
            raise BadData(
                f"item names must be unique, got {picture.item_name!r} twice; take one of them out"
            )
        seen.add(picture.item_name)


def _with_normalised_class(picture: Picture) -> Picture:
    """Item names stay as they are: ids of other programs must match them."""
    if picture.class_name is None:
        return picture
    name = normalised_text(picture.class_name)
    if not name:
        raise BadData(
            f"every class must have a name that is not blank, {picture.item_name} is of class "
            f"{picture.class_name!r}"
        )
    return replace(picture, class_name=name, class_key=normalised_text(picture.class_key or name))


def _find_drops(
    source: Source, pictures: Sequence[Picture], digests: npt.NDArray[np.uint8]
) -> dict[int, Dropped]:
    """Return what is left out, by its position."""
    drops: dict[int, Dropped] = {}
    by_pixels = _by_pixels(pictures, drops, digests)
    if source.keeps_all:
        return drops
    for equal in by_pixels.values():
        drops |= _indistinct(pictures, equal)
    for alone in _without_partner(pictures, drops, source.has_distractors):
        drops[alone] = _dropped(pictures[alone], DropReason.LONE, pictures[alone].class_name or "")
    return drops


def _by_pixels(
    pictures: Sequence[Picture], drops: dict[int, Dropped], digests: npt.NDArray[np.uint8]
) -> dict[bytes, list[int]]:
    """Return the positions of the pictures by their pixels; note those that are broken."""
    found: dict[bytes, list[int]] = defaultdict(list)
    for position, picture in enumerate(pictures):
        try:
            # Zeros stand for a broken one: looking again tells why.
            own = digests[position].tobytes() if digests[position].any() else digest(picture)
        except BadData as error:
            why = error.reason if isinstance(error, UnusablePicture) else str(error)
            drops[position] = _dropped(picture, DropReason.BROKEN, why)
        else:
            found[own].append(position)
    return found


def _indistinct(pictures: Sequence[Picture], equal: list[int]) -> dict[int, Dropped]:
    """Say which of several pictures with equal pixels go: all of several classes, else all but one.

    Copies without a class go in any case. What stays does the least harm: a gallery image before a
    query, since a query that is its own answer says nothing; an image of training before one that
    tests, since that was trained on.
    """

    def harm(position: int) -> tuple[bool, bool, int, int]:
        picture = pictures[position]
        has_no_class = picture.class_name is None
        return has_no_class, picture.role == "query", _position(picture.split, SPLITS), position

    first, *others = sorted(equal, key=harm)
    kept = pictures[first].item_name
    repeated = {
        p: _dropped(pictures[p], DropReason.REPEATED, kept)
        for p in others
        if pictures[p].copy_of != kept
    }
    of_classes = [p for p in equal if pictures[p].class_name is not None]
    other_class = next((p for p in of_classes if _key(pictures, p) != _key(pictures, first)), None)
    if other_class is None:
        return repeated
    return repeated | {
        p: _dropped(
            pictures[p],
            DropReason.IDENTICAL,
            pictures[
                first if _key(pictures, p) != _key(pictures, first) else other_class
            ].item_name,
        )
        for p in of_classes
    }


def _without_partner(
    pictures: Sequence[Picture], drops: dict[int, Dropped], has_distractors: bool
) -> list[int]:
    """Return what stays alone in its class, or on its side if the source has sides."""
    by_class: dict[str | None, list[int]] = defaultdict(list)
    for position in range(len(pictures)):
        if position not in drops and pictures[position].class_name is not None:
            by_class[_key(pictures, position)].append(position)
    alone = []
    for positions in by_class.values():
        roles = {pictures[position].role for position in positions}
        if has_distractors and roles == {"gallery"}:
            continue
        if len(positions) < 2 or (len(roles) < 2 and roles != {None}):
            alone.extend(positions)
    return alone


def _key(pictures: Sequence[Picture], position: int) -> str | None:
    return pictures[position].class_key or pictures[position].class_name


def _dropped(picture: Picture, reason: DropReason, detail: str) -> Dropped:
    return Dropped(item_name=picture.item_name, reason=reason, detail=detail)


def _write_items(
    folder: Path, kept: Sequence[Picture], drops: Drops, licences: tuple[str, ...]
) -> None:
    keys = [_key(kept, position) for position in range(len(kept))]
    names = {
        key: picture.class_name for key, picture in zip(keys, kept, strict=True) if key is not None
    }
    if len(set(names.values())) < len(names):
        raise BadData("classes with different keys must have different names")
    labels = {None: NO_CLASS} | {key: label for label, key in enumerate(names)}
    np.save(folder / "labels.npy", np.array([labels[key] for key in keys], dtype=np.int64))
    np.save(folder / "roles.npy", _positions([picture.role for picture in kept], ROLES))
    np.save(folder / "splits.npy", _positions([picture.split for picture in kept], SPLITS))
    record: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "item_names": [picture.item_name for picture in kept],
        "class_names": list(names.values()),
        "class_keys": list(names),
        "licences": licences,
        "dropped": [asdict(item) for item in drops.items],
    }
    if kept[0].group is not None:
        record["groups"] = [picture.group for picture in kept]
    write_record(folder, record)


def _positions(names: list[str | None], known: tuple[str, ...]) -> npt.NDArray[np.int8]:
    return np.array([_position(name, known) for name in names], dtype=np.int8)


def _position(name: str | None, known: tuple[str, ...]) -> int:
    return OPEN if name is None else known.index(name)
