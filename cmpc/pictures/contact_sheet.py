"""Put classes of a data set on one picture, so that a person sees at a glance what is asked.

    query | gallery ...  name        query | gallery ...  name
    query | gallery ...  name        query | gallery ...  name

Classes are taken evenly over the split, in the order of their labels. Pixels are enlarged by whole
factors without smoothing: the sheet shows what the network gets, not a nicer picture of it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from cmpc.pictures.canvas import save_picture
from cmpc.pictures.lettering import lettering
from cmpc_search.data import ImageSet
from cmpc_search.errors import BadArgument

__all__ = ["draw_contact_sheet", "write_contact_sheet"]

MAX_QUERIES, MAX_GALLERY = 2, 8
CELL_PX = 64
GAP_PX = 4
MARGIN_PX = 20
LINE_PX = 18
NAME_PX = 190
NAME_SIZE_PX = 14
WIDTH_PX = 1280
WHITE, INK, PALE, QUERY_BLUE = "#ffffff", "#1c1e21", "#767b82", "#2f6fde"


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Where things go: blocks of one class each, filling columns from the top."""

    cell_px: int
    num_queries: int
    num_gallery: int
    num_columns: int
    num_rows: int
    block_px: int

    @property
    def row_px(self) -> int:
        return self.cell_px + 3 * GAP_PX

    @property
    def header_px(self) -> int:
        return MARGIN_PX + 4 * LINE_PX

    @property
    def gallery_px(self) -> int:
        """From the left of a block to its gallery images."""
        return self.num_queries * (self.cell_px + GAP_PX) + 2 * GAP_PX

    @property
    def name_px(self) -> int:
        return self.gallery_px + self.num_gallery * (self.cell_px + GAP_PX) + GAP_PX

    @property
    def size(self) -> tuple[int, int]:
        height = self.header_px + self.num_rows * self.row_px + MARGIN_PX
        return 2 * MARGIN_PX + self.num_columns * self.block_px, height


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
    present = np.unique(image_set.labels[image_set.select(split=split)])
    count = min(num_classes, len(present))
    labels = present[np.linspace(0, len(present) - 1, count).round().astype(int)]
    rows = [_members(image_set, split, label) for label in labels]
    layout = _plan(image_set.size_px, rows)
    sheet = Image.new("RGB", layout.size, WHITE)
    names = [image_set.class_names[label] for label in labels]
    _draw_header(
        sheet, layout, f"{image_set.name}, {split} split", _summary(image_set, split, count)
    )
    for place, (name, (queries, gallery)) in enumerate(zip(names, rows, strict=True)):
        column, row = divmod(place, layout.num_rows)
        left = MARGIN_PX + column * layout.block_px
        top = layout.header_px + row * layout.row_px
        _draw_images(sheet, layout, image_set.images[queries], (left, top))
        _draw_images(sheet, layout, image_set.images[gallery], (left + layout.gallery_px, top))
        _draw_name(sheet, layout, name, (left, top))
    return sheet, names


def _members(
    image_set: ImageSet, split: str, label: np.int64
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the query and gallery images of a class that fit on the sheet."""
    queries, gallery = (
        positions[image_set.labels[positions] == label]
        for positions in (image_set.select(split=split, role=role) for role in ("query", "gallery"))
    )
    return queries[:MAX_QUERIES], gallery[:MAX_GALLERY]


def _plan(size_px: int, rows: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]) -> Layout:
    cell_px = size_px * (CELL_PX // size_px) if size_px <= CELL_PX else CELL_PX
    num_queries = max(len(queries) for queries, _ in rows)
    num_gallery = max(len(gallery) for _, gallery in rows)
    block_px = (num_queries + num_gallery) * (cell_px + GAP_PX) + 3 * GAP_PX + NAME_PX
    num_columns = min(max(1, (WIDTH_PX - 2 * MARGIN_PX) // block_px), len(rows))
    return Layout(
        cell_px=cell_px,
        num_queries=num_queries,
        num_gallery=num_gallery,
        num_columns=num_columns,
        num_rows=-(-len(rows) // num_columns),
        block_px=block_px,
    )


def _summary(image_set: ImageSet, split: str, count: int) -> str:
    size = image_set.counts()[split]
    return (
        f"{count} of {size.num_classes} classes, {size.num_queries} queries, "
        f"{size.num_gallery} gallery images, {image_set.size_px} px"
    )


def _draw_header(sheet: Image.Image, layout: Layout, title: str, summary: str) -> None:
    draw = ImageDraw.Draw(sheet)
    top = MARGIN_PX + LINE_PX // 2
    _write(draw, (MARGIN_PX, top), title, size_px=18, colour=INK)
    _write(draw, (MARGIN_PX, top + LINE_PX), summary, size_px=13, colour=PALE)
    for column in range(layout.num_columns):
        left = MARGIN_PX + column * layout.block_px
        base = layout.header_px - 2 * GAP_PX
        _write(draw, (left, base), "query", size_px=13, colour=QUERY_BLUE)
        _write(draw, (left + layout.gallery_px, base), "gallery", size_px=13, colour=PALE)


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    *,
    size_px: int,
    colour: str,
    anchor: str = "ls",
) -> None:
    letters = lettering(text, size_px)
    draw.text(place, letters.text, fill=colour, font=letters.font, anchor=anchor)


def _draw_images(
    sheet: Image.Image, layout: Layout, images: npt.NDArray[np.uint8], corner: tuple[int, int]
) -> None:
    draw = ImageDraw.Draw(sheet)
    left, top = corner
    for image in images:
        size = (layout.cell_px, layout.cell_px)
        smooth = image.shape[0] > layout.cell_px
        how = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
        sheet.paste(Image.fromarray(image).resize(size, how), (left, top))
        # A hair line: many pictures are white at their border, and the square is what networks see.
        frame = (left - 1, top - 1, left + layout.cell_px, top + layout.cell_px)
        draw.rectangle(frame, outline="#dfe2e6")
        left += layout.cell_px + GAP_PX


def _draw_name(sheet: Image.Image, layout: Layout, name: str, corner: tuple[int, int]) -> None:
    left, top = corner
    room_px = layout.block_px - layout.name_px - 2 * GAP_PX
    lines = _wrapped(name, room_px, max_lines=max(1, layout.cell_px // LINE_PX))
    first = top + (layout.cell_px - LINE_PX * (len(lines) - 1)) // 2
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        place = (left + layout.name_px, first + number * LINE_PX)
        _write(draw, place, line, size_px=NAME_SIZE_PX, colour=INK, anchor="lm")


def _wrapped(name: str, room_px: int, *, max_lines: int) -> list[str]:
    """Break a name at spaces; what has no room ends in three dots."""
    lines = [""]
    for word in lettering(name, NAME_SIZE_PX).text.split():
        longer = f"{lines[-1]} {word}".strip()
        if _width_px(longer) <= room_px or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > max_lines:
        lines = [*lines[: max_lines - 1], f"{lines[max_lines - 1]}..."]
    return [_cut(line, room_px) for line in lines]


def _cut(line: str, room_px: int) -> str:
    while _width_px(line) > room_px and len(line) > 4:
        line = f"{line.removesuffix('...')[:-1]}..."
    return line


def _width_px(text: str) -> float:
    return lettering(text, NAME_SIZE_PX).width_px
