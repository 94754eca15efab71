"""Does the pick beat what is simpler? Accuracies with their intervals over arithmetic.

Up is better, left is cheaper. Whiskers are 95% intervals. Marks that would lie on each other stand
side by side: who costs the same, as most do, must be told apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from cmpc.pictures.canvas import AMBER, BLUE, GREEN, GREY, INK, Canvas, Point, shortened
from cmpc.pictures.front import BOTTOM, DUST, HEIGHT, LEFT, RIGHT, TOP, WIDTH, draw_axes, spread

__all__ = ["ContestPoint", "contest_picture"]

LEGEND_WIDTH = 250.0
LINE_HEIGHT = 20.0
STEP = 15.0  # between marks that would lie on each other
ROOM = 3 * STEP  # at either end of the axis, for marks that are moved
RADIUS = 6.5
COLOURS = {"pick": AMBER, "random": DUST, "hand-made": GREEN, "same": BLUE}
KINDS = {
    "random": "of the space, drawn at random",
    "hand-made": "made by hand",
    "same": "the pick's own architecture",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ContestPoint:
    """One network: its MACs in millions, its accuracy with an interval, and what it is.

    Attributes:
        kind: pick, random, hand-made or same: which has the pick's architecture.
    """

    name: str
    kind: str
    mmacs: float
    value: float
    low: float
    high: float


def contest_picture(points: Sequence[ContestPoint], *, paragon: float, title: str) -> Image.Image:
    """Draw accuracies over arithmetic, with a line where the paragon is."""
    ends = [end for one in points for end in (one.low, one.high)]
    across = spread([one.mmacs for one in points], LEFT + ROOM, WIDTH - RIGHT - ROOM)
    upwards = spread([*ends, paragon], HEIGHT - BOTTOM, TOP)
    num_lines = len(points) + len(KINDS) + 2
    canvas = Canvas(WIDTH + LEGEND_WIDTH, max(HEIGHT, TOP + num_lines * LINE_HEIGHT))
    canvas.text((LEFT, 14), title, size=13)
    titles = ("arithmetic, MMAC (counted)", "top-1 on test classes, with 95% intervals")
    draw_axes(canvas, across, upwards, titles=titles)
    canvas.dashes((LEFT, upwards(paragon)), (WIDTH - RIGHT, upwards(paragon)), width=1.2)
    places = side_by_side([across(one.mmacs) for one in points])
    for number, (one, x) in enumerate(zip(points, places, strict=True), start=1):
        canvas.line([(x, upwards(one.low)), (x, upwards(one.high))], colour=INK, width=1.2)
        draw_mark(canvas, (x, upwards(one.value)), one.kind, number)
    draw_legend(canvas, points, paragon)
    return canvas.finish()


def side_by_side(places: Sequence[float]) -> list[float]:
    """Return the places moved apart by `STEP` where they are nearer, around their common middle."""
    order = sorted(range(len(places)), key=lambda position: places[position])
    groups: list[list[int]] = []
    for position in order:
        groups.append([position])
        while len(groups) > 1 and _start(groups[-1], places) - _end(groups[-2], places) < STEP:
            last = groups.pop()
            groups[-1] += last
    moved = {
        position: _start(group, places) + number * STEP
        for group in groups
        for number, position in enumerate(group)
    }
    return [moved[position] for position in range(len(places))]


def draw_mark(canvas: Canvas, at: Point, kind: str, number: int) -> None:
    """Draw a numbered mark, the same in the plot and in the legend."""
    canvas.disc(at, RADIUS, colour=COLOURS[kind], rim="white")
    if kind == "pick":
        canvas.ring(at, RADIUS + 1.5, colour=INK, width=1.4)
    colour = "white" if kind in ("hand-made", "same") else INK
    canvas.text(at, str(number), size=8, colour=colour, anchor="mm")


def draw_legend(canvas: Canvas, points: Sequence[ContestPoint], paragon: float) -> None:
    """Say beside the plot who is which number, in the groups that the colours show."""
    x, y = WIDTH + 8, TOP
    room = LEGEND_WIDTH - 36
    canvas.dashes((x - 7, y), (x + 7, y), width=1.2)
    canvas.text((x + 16, y), f"the paragon: {paragon:.3f}", size=10, anchor="lm")
    known = ""
    for number, one in enumerate(points, start=1):
        if one.kind != known and one.kind in KINDS:
            y += LINE_HEIGHT
            canvas.text((x - 7, y + 3), KINDS[one.kind], size=9, colour=GREY, anchor="lm")
        known = one.kind
        y += LINE_HEIGHT
        draw_mark(canvas, (x, y), one.kind, number)
        text = shortened(f"{one.name}: {one.value:.3f}", 10, room)
        canvas.text((x + 16, y), text, size=10, anchor="lm")


def _start(group: Sequence[int], places: Sequence[float]) -> float:
    middle = sum(places[position] for position in group) / len(group)
    return middle - STEP * (len(group) - 1) / 2


def _end(group: Sequence[int], places: Sequence[float]) -> float:
    return _start(group, places) + STEP * (len(group) - 1)
