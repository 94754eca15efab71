"""Put classes of a data set on one picture, so that a person sees at a glance what is asked.

    query | gallery ...  name        query | gallery ...  name
    query | gallery ...  name        query | gallery ...  name

Classes are taken evenly over the split, in the order of their labels. Pixels are enlarged by whole
factors without smoothing: the sheet shows what the network gets, not a nicer picture of it.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from cmpc.pictures.canvas import (
    BLUE,
    GREY,
    INK,
    PALE,
    PIXELS_PER_POINT,
    Canvas,
    Point,
    save_picture,
    wrapped,
)
from cmpc_search.data import ImageSet
from cmpc_search.errors import BadArgument

__all__ = ["draw_contact_sheet", "write_contact_sheet"]

MAX_QUERIES, MAX_GALLERY = 2, 8
CELL_PX = 64
GAP, MARGIN, LINE, NAME_WIDTH, WIDTH = 2.0, 10.0, 9.0, 95.0, 640.0  # points
TITLE_SIZE, NOTE_SIZE, NAME_SIZE = 9.0, 6.5, 7.0

Members = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Positions of a class' query and gallery images."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Where things go, in points: blocks of one class each, filling columns from the top."""

    cell: float
    num_queries: int
    num_gallery: int
    num_columns: int
    num_rows: int

    @property
    def row(self) -> float:
        return self.cell + 3 * GAP

    @property
    def header(self) -> float:
        return MARGIN + 4 * LINE

    @property
    def gallery(self) -> float:
        """From the left of a block to its gallery images."""
        return self.num_queries * (self.cell + GAP) + 2 * GAP

    @property
    def name(self) -> float:
        return self.gallery + self.num_gallery * (self.cell + GAP) + GAP

    @property
    def block(self) -> float:
        return self.name + NAME_WIDTH

    @property
    def size(self) -> Point:
        height = self.header + self.num_rows * self.row + MARGIN
        return 2 * MARGIN + self.num_columns * self.block, height


def write_contact_sheet(
    image_set: ImageSet, path: Path, *, split: str = "test", num_classes: int = 24
) -> list[str]:
    """Write a sheet as PNG; return the names of the classes that are on it."""
    sheet, names = draw_contact_sheet(image_set, split=split, num_classes=num_classes)
    save_picture(sheet, path)
    return names


def draw_contact_sheet(
    image_set: ImageSet, *, split: str, num_classes: int
) -> tuple[Image.Image, list[str]]:
    """Return a sheet and the names of the classes that are on it."""
    if num_classes < 1:
        raise BadArgument(f"`1 <= num_classes` must hold, got {num_classes=}")
    present = image_set.labels_in(image_set.select(split=split))
    if not len(present):
        raise BadArgument(
            f"the split to draw must have classes, {image_set.name} has none in {split}; it has "
            "some in test: name another with --split"
        )
    count = min(num_classes, len(present))
    labels = present[np.linspace(0, len(present) - 1, count).round().astype(int)]
    rows = [_members(image_set, split, label) for label in labels]
    layout = _plan(image_set.size_px, rows)
    # Every pixel of a picture is to be seen as it is, so nothing is shrunk.
    canvas = Canvas(*layout.size, oversampling=1)
    names = [image_set.class_names[label] for label in labels]
    title = f"{image_set.name}, {split} split"
    _draw_header(canvas, layout, title, _summary(image_set, split, count))
    for place, (name, (queries, gallery)) in enumerate(zip(names, rows, strict=True)):
        column, row = divmod(place, layout.num_rows)
        left = MARGIN + column * layout.block
        top = layout.header + row * layout.row
        _draw_images(canvas, layout, image_set.images[queries], (left, top))
        _draw_images(canvas, layout, image_set.images[gallery], (left + layout.gallery, top))
        _draw_name(canvas, layout, name, (left + layout.name, top))
    return canvas.finish(), names


def _members(image_set: ImageSet, split: str, label: np.int64) -> Members:
    """Return the query and gallery images of a class that fit on the sheet."""
    queries, gallery = (
        positions[image_set.labels[positions] == label]
        for positions in (image_set.select(split=split, role=role) for role in ("query", "gallery"))
    )
    return queries[:MAX_QUERIES], gallery[:MAX_GALLERY]


def _plan(size_px: int, rows: list[Members]) -> Layout:
    cell_px = size_px * (CELL_PX // size_px) if size_px <= CELL_PX else CELL_PX
    one_column = Layout(
        cell=cell_px / PIXELS_PER_POINT,
        num_queries=max(len(queries) for queries, _ in rows),
        num_gallery=max(len(gallery) for _, gallery in rows),
        num_columns=1,
        num_rows=len(rows),
    )
    fitting = int((WIDTH - 2 * MARGIN) // one_column.block)
    num_columns = min(max(1, fitting), len(rows))
    return replace(one_column, num_columns=num_columns, num_rows=-(-len(rows) // num_columns))


def _summary(image_set: ImageSet, split: str, count: int) -> str:
    size = image_set.counts()[split]
    return (
        f"{count} of {size.num_classes} classes, {size.num_queries} queries, "
        f"{size.num_gallery} gallery images, {image_set.size_px} px"
    )


def _draw_header(canvas: Canvas, layout: Layout, title: str, summary: str) -> None:
    top = MARGIN + LINE / 2
    canvas.text((MARGIN, top), title, size=TITLE_SIZE, anchor="ls")
    canvas.text((MARGIN, top + LINE), summary, size=NOTE_SIZE, colour=GREY, anchor="ls")
    base = layout.header - 2 * GAP
    for column in range(layout.num_columns):
        left = MARGIN + column * layout.block
        canvas.text((left, base), "query", size=NOTE_SIZE, colour=BLUE, anchor="ls")
        at = (left + layout.gallery, base)
        canvas.text(at, "gallery", size=NOTE_SIZE, colour=GREY, anchor="ls")


def _draw_images(
    canvas: Canvas, layout: Layout, images: npt.NDArray[np.uint8], corner: Point
) -> None:
    left, top = corner
    cell, hair = layout.cell, 1 / PIXELS_PER_POINT
    for image in images:
        is_shrunk = image.shape[0] > cell * PIXELS_PER_POINT
        how = Image.Resampling.BILINEAR if is_shrunk else Image.Resampling.NEAREST
        # A hair line: many pictures are white at their border, and the square is what networks see.
        frame = (left - hair, top - hair), (left + cell, top + cell)
        canvas.box(*frame, colour=PALE, width=hair)
        canvas.paste(Image.fromarray(image), (left, top), cell, how=how)
        left += cell + GAP


def _draw_name(canvas: Canvas, layout: Layout, name: str, corner: Point) -> None:
    left, top = corner
    max_lines = max(1, int(layout.cell // LINE))
    lines = wrapped(name, NAME_SIZE, NAME_WIDTH - 3 * GAP, max_lines=max_lines)
    first = top + (layout.cell - LINE * (len(lines) - 1)) / 2
    for number, line in enumerate(lines):
        at = (left, first + number * LINE)
        canvas.text(at, line, size=NAME_SIZE, colour=INK, anchor="lm")
