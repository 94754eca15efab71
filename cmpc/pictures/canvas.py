"""One way to draw for all pictures: smooth lines and real letters, with Pillow and nothing else.

Coordinates are points, 2 pixels each in the result, so that a picture is sharp on a dense screen.
Pillow draws hard edges; so everything is drawn larger than wanted and shrunk at the end.
"""

from pathlib import Path

from PIL import Image, ImageDraw

from cmpc.pictures.lettering import lettering
from cmpc_base.files import replacing

__all__ = [
    *("AMBER", "BLUE", "GREEN", "GREY", "INK", "PALE", "RED"),
    *("Canvas", "Point", "save_picture", "shortened", "text_width", "wrapped"),
]

PIXELS_PER_POINT = 2
OVERSAMPLING = 2
TYPE_PIXELS = 100  # of the size at which text is measured: widths grow with it

# Shapes say the same as colours everywhere: not everybody sees all of these.
GREEN, RED, BLUE, AMBER = "#009e73", "#cf2e3a", "#0072b2", "#e69f00"
INK, GREY, PALE = "#22272e", "#6e7781", "#dde2e8"

Point = tuple[float, float]


class Canvas:
    """A white sheet of ``width`` x ``height`` points.

    With ``oversampling`` 1 nothing is shrunk at the end: lines have hard edges, and a large sheet
    takes a quarter of the memory.
    """

    def __init__(self, width: float, height: float, *, oversampling: int = OVERSAMPLING) -> None:
        self.width, self.height = width, height
        self.oversampling = oversampling
        self.scale = PIXELS_PER_POINT * oversampling
        size = (round(width * self.scale), round(height * self.scale))
        self.sheet = Image.new("RGB", size, "white")
        self.pen = ImageDraw.Draw(self.sheet)

    def text(
        self, at: Point, text: str, *, size: float = 11, colour: str = INK, anchor: str = "la"
    ) -> None:
        """Write text; ``anchor`` says which point of it is ``at``, in Pillow's two letters."""
        letters = lettering(text, size * self.scale)
        self.pen.text(self.scaled(at), letters.text, fill=colour, font=letters.font, anchor=anchor)

    def text_upwards(self, at: Point, text: str, *, size: float = 11, colour: str = INK) -> None:
        """Write text that reads from bottom to top, its middle at ``at``."""
        letters = lettering(text, size * self.scale)
        width, height = round(letters.width_px), round(size * 1.4 * self.scale)
        strip = Image.new("L", (width, height), 0)
        middle = (width / 2, height / 2)
        ImageDraw.Draw(strip).text(middle, letters.text, fill=255, font=letters.font, anchor="mm")
        turned = strip.rotate(90, expand=True)
        x, y = self.scaled(at)
        corner = (round(x - turned.width / 2), round(y - turned.height / 2))
        self.sheet.paste(Image.new("RGB", turned.size, colour), corner, turned)

    def line(self, points: list[Point], *, colour: str = INK, width: float = 1) -> None:
        """Draw a line through points."""
        ends = [self.scaled(point) for point in points]
        self.pen.line(ends, fill=colour, width=round(width * self.scale), joint="curve")

    def dashes(self, start: Point, end: Point, *, colour: str = GREY, width: float = 1) -> None:
        """Draw a dashed line that goes straight down or across."""
        length = abs(end[0] - start[0]) + abs(end[1] - start[1])
        num_dashes = max(1, round(length / 8))
        step = ((end[0] - start[0]) / num_dashes, (end[1] - start[1]) / num_dashes)
        for number in range(num_dashes):
            head = (start[0] + number * step[0], start[1] + number * step[1])
            tail = (head[0] + 0.6 * step[0], head[1] + 0.6 * step[1])
            self.line([head, tail], colour=colour, width=width)

    def box(
        self, corner: Point, opposite: Point, *, colour: str, width: float, radius: float = 0
    ) -> None:
        """Draw a frame whose outer edge goes through both corners."""
        edges = (*self.scaled(corner), *self.scaled(opposite))
        self.pen.rounded_rectangle(
            edges, radius * self.scale, outline=colour, width=round(width * self.scale)
        )

    def disc(self, at: Point, radius: float, *, colour: str, rim: str | None = None) -> None:
        """Draw a filled circle, with a rim of another colour where one is given."""
        self.pen.circle(
            self.scaled(at), radius * self.scale, fill=colour, outline=rim, width=self.scale
        )

    def ring(self, at: Point, radius: float, *, colour: str, width: float) -> None:
        """Draw an open circle."""
        self.pen.circle(
            self.scaled(at), radius * self.scale, outline=colour, width=round(width * self.scale)
        )

    def paste(
        self,
        picture: Image.Image,
        corner: Point,
        side: float,
        *,
        how: Image.Resampling = Image.Resampling.LANCZOS,
    ) -> None:
        """Put a picture on the sheet, ``side`` points wide and high."""
        pixels = round(side * self.scale)
        shown = picture.convert("RGB").resize((pixels, pixels), how)
        self.sheet.paste(shown, tuple(map(round, self.scaled(corner))))  # type: ignore[arg-type]

    def finish(self) -> Image.Image:
        """Return the picture, shrunk to its real size."""
        return self.sheet.reduce(self.oversampling) if self.oversampling > 1 else self.sheet

    def scaled(self, point: Point) -> Point:
        """Turn points into pixels of the sheet."""
        return point[0] * self.scale, point[1] * self.scale


def text_width(text: str, size: float) -> float:
    """Return how wide a text comes out, in points."""
    return lettering(text, TYPE_PIXELS).width_px / TYPE_PIXELS * size


def wrapped(text: str, size: float, width: float, *, max_lines: int = 2) -> list[str]:
    """Return the text in lines, cut between words; what does not fit ends in dots."""
    lines: list[str] = []
    words = text.split()
    while words and len(lines) < max_lines - 1:
        fitting = [
            n for n in range(1, len(words) + 1) if text_width(" ".join(words[:n]), size) <= width
        ]
        num_here = max(fitting, default=1)
        lines.append(" ".join(words[:num_here]))
        words = words[num_here:]
    if words:
        lines.append(" ".join(words))
    return [shortened(line, size, width) for line in lines] or [""]


def shortened(text: str, size: float, width: float) -> str:
    """Return the text, or as much of its beginning as fits with dots behind."""
    if text_width(text, size) <= width:
        return text
    kept = next(n for n in range(len(text), -1, -1) if text_width(text[:n] + "...", size) <= width)
    return text[:kept].rstrip() + "..."


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a PNG; whoever looks at ``path`` sees the old file or the whole new one."""
    with replacing(path) as file:
        picture.save(file, format="PNG", optimize=True)
