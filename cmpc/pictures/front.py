"""What does speed cost in accuracy? All candidates of a search, the front among them, and the pick.

Up is better, left is cheaper. The axis of the cost names its source: a counted cost that is read as
a measured one is how wrong networks get chosen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from cmpc.pictures.canvas import AMBER, BLUE, GREY, INK, PALE, Canvas, Point, text_width

__all__ = ["CostAxis", "FrontPoint", "front_picture"]

WIDTH, HEIGHT = 560.0, 380.0
LEFT, RIGHT, TOP, BOTTOM = 76.0, 22.0, 62.0, 50.0
ROOM = 0.06  # of the range, left free at either end so that no point sits on an axis
MAX_TICKS = 7
DUST = "#b4c3d1"


@dataclass(frozen=True, kw_only=True, slots=True)
class CostAxis:
    """Which cost is drawn: its name, unit and source, and the budget if there was one."""

    name: str
    unit: str
    source: str
    budget: float | None = None

    @property
    def title(self) -> str:
        return f"{self.name}, {self.unit} ({self.source})"


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontPoint:
    """One candidate: what it costs and how well it does."""

    cost: float
    reward: float
    is_on_front: bool = False
    is_pick: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values from ``low`` to ``high`` onto a stretch of the sheet."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def front_picture(
    points: Sequence[FrontPoint], cost_axis: CostAxis, *, reward_name: str, title: str = ""
) -> Image.Image:
    """Draw reward over cost for every candidate, with the front and the pick."""
    costs = [point.cost for point in points]
    if cost_axis.budget is not None:
        costs.append(cost_axis.budget)
    across = spread(costs, LEFT, WIDTH - RIGHT)
    upwards = spread([point.reward for point in points], HEIGHT - BOTTOM, TOP)
    canvas = Canvas(WIDTH, HEIGHT)
    canvas.text((LEFT, 14), title, size=13)
    draw_axes(canvas, across, upwards, titles=(cost_axis.title, reward_name))
    draw_legend(canvas, points, cost_axis)
    if cost_axis.budget is not None:
        x = across(cost_axis.budget)
        canvas.dashes((x, TOP), (x, HEIGHT - BOTTOM), colour=GREY, width=1.2)
    draw_points(canvas, points, across, upwards)
    return canvas.finish()


def spread(values: Sequence[float], start: float, end: float) -> Scale:
    """Return a scale on which all values have room; one value alone gets room around it."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = (high - low) * ROOM or abs(high) * 0.1 or 1.0
    return Scale(low - room, high + room, start, end)


def ticks(scale: Scale) -> list[tuple[float, str]]:
    """Return round values within a scale, with labels of equal precision.

    The steps are 1, 2 or 5 times a power of ten.
    """
    rough = (scale.high - scale.low) / MAX_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= rough)
    first, last = math.ceil(scale.low / step), math.floor(scale.high / step)
    decimals = max(0, -math.floor(math.log10(step)))
    return [(number * step, f"{number * step:.{decimals}f}") for number in range(first, last + 1)]


def draw_axes(canvas: Canvas, across: Scale, upwards: Scale, *, titles: tuple[str, str]) -> None:
    """Draw a faint grid, the values at its lines, and what the axes mean."""
    for value, label in ticks(across):
        x = across(value)
        canvas.line([(x, TOP), (x, HEIGHT - BOTTOM)], colour=PALE, width=0.6)
        canvas.text((x, HEIGHT - BOTTOM + 7), label, size=10, colour=GREY, anchor="ma")
    for value, label in ticks(upwards):
        y = upwards(value)
        canvas.line([(LEFT, y), (WIDTH - RIGHT, y)], colour=PALE, width=0.6)
        canvas.text((LEFT - 7, y), label, size=10, colour=GREY, anchor="rm")
    canvas.line([(LEFT, TOP), (LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, HEIGHT - BOTTOM)], width=1)
    middle = ((LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2)
    canvas.text((middle[0], HEIGHT - 10), titles[0], anchor="md")
    canvas.text_upwards((16, middle[1]), titles[1])


def draw_legend(canvas: Canvas, points: Sequence[FrontPoint], cost_axis: CostAxis) -> None:
    """Say what each mark is, with how many there are, in one line above the plot."""
    num_front = sum(point.is_on_front for point in points)
    x, y = LEFT, 46.0
    for kind, label in (
        ("candidate", f"{len(points)} candidates"),
        ("front", f"{num_front} on the front"),
        ("pick", "the pick"),
        ("budget", f"budget {cost_axis.budget or 0:.4g} {cost_axis.unit}"),
    ):
        if kind == "pick" and not any(point.is_pick for point in points):
            continue
        if kind == "budget" and cost_axis.budget is None:
            continue
        draw_mark(canvas, (x + 6, y), kind)
        canvas.text((x + 16, y), label, size=10, anchor="lm")
        x += 16 + text_width(label, 10) + 18


def draw_points(
    canvas: Canvas, points: Sequence[FrontPoint], across: Scale, upwards: Scale
) -> None:
    """Draw the crowd first, then the front's line and marks, and the pick on top."""
    for point in points:
        if not point.is_on_front:
            draw_mark(canvas, (across(point.cost), upwards(point.reward)), "candidate")
    front = sorted((p for p in points if p.is_on_front), key=lambda point: point.cost)
    line: list[Point] = []
    for point in front:  # a stair: between two points of a front nothing better is known
        if line:
            line.append((across(point.cost), line[-1][1]))
        line.append((across(point.cost), upwards(point.reward)))
    if len(line) > 1:
        canvas.line(line, colour=BLUE, width=1.4)
    for point in front:
        draw_mark(canvas, (across(point.cost), upwards(point.reward)), "front")
    for point in points:
        if point.is_pick:
            at = (across(point.cost), upwards(point.reward))
            draw_mark(canvas, at, "pick")


def draw_mark(canvas: Canvas, at: Point, kind: str) -> None:
    """Draw one mark, the same in the plot and in the legend."""
    if kind == "candidate":
        canvas.disc(at, 2.6, colour=DUST)
    elif kind == "front":
        canvas.disc(at, 4.2, colour=BLUE, rim="white")
    elif kind == "pick":
        canvas.disc(at, 4.2, colour=AMBER, rim="white")
        canvas.ring(at, 7.5, colour=INK, width=1.4)
    else:
        canvas.dashes((at[0], at[1] - 7), (at[0], at[1] + 7), colour=GREY, width=1.2)
