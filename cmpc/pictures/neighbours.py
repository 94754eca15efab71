"""What did a query find? Each query beside its nearest gallery items, right ones marked.

query |  1st   2nd   3rd   4th   5th      green frame and tick: the right class
query |  1st   2nd   3rd   4th   5th      red frame and cross: another class
                                          grey frame: nobody knows
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from cmpc.pictures.canvas import GREEN, GREY, PALE, RED, Canvas, Point, shortened, wrapped

__all__ = ["NeighbourRow", "ShownItem", "neighbours_picture"]

MARGIN = 20.0
SIDE = 84.0
FRAME = 3.0
GAP = 16.0
QUERY_GAP = 34.0
CAPTION = 52.0
HEADER = 22.0
TITLE = 26.0
BADGE = 9.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownItem:
    """One picture with what stands under it.

    Attributes:
        image: uint8 [S, S, 3], or None where only the name is known.
        name: What a reader should call it; the caption.
        note: The small line below: a score, an item name.
        is_right: Whether it is of the query's class; None where nobody knows.
    """

    image: npt.NDArray[np.uint8] | None
    name: str
    note: str = ""
    is_right: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NeighbourRow:
    """A query and what it found, nearest first."""

    query: ShownItem
    neighbours: tuple[ShownItem, ...]


def neighbours_picture(rows: Sequence[NeighbourRow], *, title: str = "") -> Image.Image:
    """Draw a row for each query: the query, then what it found, nearest first."""
    num_columns = max((len(row.neighbours) for row in rows), default=0)
    width = column_left(num_columns) - GAP + MARGIN
    title_lines = wrapped(title, 14, width - 2 * MARGIN) if title else []
    top = MARGIN + TITLE * len(title_lines)
    canvas = Canvas(width, top + HEADER + len(rows) * (SIDE + CAPTION) + MARGIN - 8)
    for number, line in enumerate(title_lines):
        canvas.text((MARGIN, MARGIN - 4 + 20 * number), line, size=14)
    draw_header(canvas, top, num_columns)
    for number, row in enumerate(rows):
        draw_row(canvas, top + HEADER + number * (SIDE + CAPTION), row)
    return canvas.finish()


def column_left(column: int) -> float:
    """Return where a column of neighbours begins; the query stands left of column 0."""
    return MARGIN + SIDE + QUERY_GAP + column * (SIDE + GAP)


def draw_header(canvas: Canvas, top: float, num_columns: int) -> None:
    """Name the columns, and part the query from what it found."""
    canvas.text((MARGIN, top), "query", size=10, colour=GREY)
    for column in range(num_columns):
        label = "nearest" if column == 0 else str(column + 1)
        canvas.text((column_left(column), top), label, size=10, colour=GREY)
    x = MARGIN + SIDE + QUERY_GAP / 2
    canvas.line([(x, top), (x, canvas.height - MARGIN)], colour=PALE)


def draw_row(canvas: Canvas, top: float, row: NeighbourRow) -> None:
    """Draw one query with its neighbours."""
    draw_item(canvas, (MARGIN, top), row.query)
    for column, item in enumerate(row.neighbours):
        corner = (column_left(column), top)
        draw_item(canvas, corner, item)
        draw_verdict(canvas, corner, item.is_right)


def draw_item(canvas: Canvas, corner: Point, item: ShownItem) -> None:
    """Draw one picture with its caption."""
    x, y = corner
    if item.image is not None:
        inner = (x + FRAME + 1, y + FRAME + 1)
        canvas.paste(Image.fromarray(item.image), inner, SIDE - 2 * FRAME - 2)
    else:
        canvas.text((x + SIDE / 2, y + SIDE / 2), "no picture", colour=GREY, size=9, anchor="mm")
    lines = wrapped(item.name, 10, SIDE)
    for number, line in enumerate(lines):
        canvas.text((x, y + SIDE + 4 + 12 * number), line, size=10)
    note_top = y + SIDE + 17 + 12 * (len(lines) - 1)
    canvas.text((x, note_top), shortened(item.note, 8, SIDE), size=8, colour=GREY)


def draw_verdict(canvas: Canvas, corner: Point, is_right: bool | None) -> None:
    """Frame a neighbour, and put a tick or a cross on the frame's corner."""
    x, y = corner
    colour = {True: GREEN, False: RED, None: PALE}[is_right]
    canvas.box(corner, (x + SIDE, y + SIDE), colour=colour, width=FRAME, radius=5)
    if is_right is None:
        return
    middle = (x + SIDE - 5, y + 5)
    canvas.disc(middle, BADGE, colour=colour, rim="white")
    for stroke in TICK if is_right else CROSS:
        points = [(middle[0] + dx, middle[1] + dy) for dx, dy in stroke]
        canvas.line(points, colour="white", width=2)


TICK = [[(-4.0, 0.5), (-1.2, 3.3), (4.0, -3.0)]]
CROSS = [[(-3.0, -3.0), (3.0, 3.0)], [(-3.0, 3.0), (3.0, -3.0)]]
