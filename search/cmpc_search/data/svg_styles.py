"""Draw an SVG in another style: outlines alone, fills alone, other strokes, other colours.

The text of the file is rewritten before it is drawn, by elements and attributes that every SVG
has. What a style does not find (a picture without strokes has none to thicken) stays as it is.
Nothing in the file is executed or fetched; one that declares entities is refused, since a few
lines of those can grow to gigabytes.
"""

import colorsys
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from cmpc_search.data.images import load_image
from cmpc_search.data.picture_file import read_file
from cmpc_search.errors import BadData

__all__ = ["STYLES", "STYLES_VERSION", "load_styled", "restyled"]

STYLES_VERSION = 2
"""Raised with any change of what a style draws: pictures drawn before are not used then."""

Change = Callable[[Element, random.Random], None]
"""Changes a picture in place; the generator is seeded by the style and the picture."""

Colour = tuple[float, float, float]
"""Hue, lightness and saturation in [0, 1]."""

SHAPES = frozenset({"path", "circle", "ellipse", "rect", "polygon", "polyline", "line"})
NOT_SHOWN = frozenset({"defs", "clipPath", "mask", "pattern", "symbol"})
"""Elements whose children are no part of the picture by themselves."""

COLOURED = ("fill", "stroke", "stop-color", "flood-color")
PAINT = frozenset({*COLOURED, "stroke-width"})
HEX_COLOUR = re.compile(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
STROKE_WIDTH = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(px)?")
LINE_GROUP = re.compile(r"line\b|line[-_]")
"""Ids of groups that draw outlines over the fills of others, as OpenMoji names them."""

OUTLINE_SHARE = 1 / 48
"""Width of an outline that is drawn where there was none, as a part of the picture's."""

INK, PAPER = 0.1, 0.9
"""Colours that are darker or lighter stay in every palette: outlines and highlights."""

ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")


def load_styled(
    picture: Path | bytes, style: str, size_px: int, crop_share: float | None = None
) -> npt.NDArray[np.uint8]:
    """Return an SVG, drawn in a style of STYLES, as uint8 [S, S, 3], else as `load_image` does.

    Raises:
        BadData: as `load_image`, and as `restyled`.
        FileUnavailable: the machine can't read the file now.
    """
    content = picture if isinstance(picture, bytes) else read_file(picture)
    return load_image(restyled(content, style), size_px, crop_share)


def restyled(content: bytes, style: str) -> bytes:
    """Return an SVG that draws the same in another style of STYLES.

    Raises:
        BadData: it is no XML in UTF-8, or has a document type, which may declare entities.
    """
    try:
        text = content.decode("utf-8-sig")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise BadData("an SVG must have no document type to be drawn in another style")
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise BadData(f"the SVG can't be drawn in another style: {error}") from error
    for element in root.iter():
        _spell_out(element)
    STYLES[style](root, random.Random(f"{style}/{text}"))
    return ElementTree.tostring(root)


def _spell_out(element: Element) -> None:
    """Turn what ``style="..."`` says of paint into attributes, where the styles look."""
    kept = []
    for declaration in element.get("style", "").split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name in PAINT:
            element.set(name, value)
        elif name:
            kept.append(f"{name}:{value}")
    if "style" in element.attrib:
        element.set("style", ";".join(kept))


def _outlines(root: Element, _: random.Random) -> None:
    """Fill with white and draw around: what lies behind stays hidden, as in a drawing by pen."""
    width = f"{_width(root) * OUTLINE_SHARE:.3g}"
    for shape, fill, stroke in _shapes(root):
        if fill != "none" and not _is_ink(fill):
            shape.set("fill", "#fff")
        if fill != "none" or stroke != "none":
            shape.set("stroke", "#000")
        if stroke == "none":
            shape.set("stroke-width", width)


def _fills(root: Element, _: random.Random) -> None:
    """Leave out the strokes, and the lines of pictures that keep them apart."""
    for parent in root.iter():
        for child in list(parent):
            if LINE_GROUP.match(child.get("id", "")):
                parent.remove(child)
    for shape, fill, stroke in _shapes(root):
        if "none" not in (fill, stroke):
            shape.set("stroke", "none")


def _strokes(root: Element, factor: float) -> None:
    for element in root.iter():
        if width := STROKE_WIDTH.fullmatch(element.get("stroke-width", "")):
            element.set("stroke-width", f"{float(width[1]) * factor:.4g}")


def _thin(root: Element, _: random.Random) -> None:
    _strokes(root, 0.45)


def _bold(root: Element, _: random.Random) -> None:
    _strokes(root, 1.8)


def _turned_hues(root: Element, generator: random.Random) -> None:
    """Turn all hues by one angle: what went together still does."""
    turn = generator.uniform(0.15, 0.85)
    _recolour(root, lambda colour: ((colour[0] + turn) % 1, *colour[1:]))


def _other_palette(root: Element, generator: random.Random) -> None:
    """Draw a hue for each colour; its lightness stays near, so that shapes still stand out."""

    def drawn(colour: Colour) -> Colour:
        lightness = min(max(colour[1] + generator.uniform(-0.15, 0.15), 0.2), 0.85)
        return generator.random(), lightness, generator.uniform(0.2, 1.0)

    _recolour(root, lambda colour: drawn(colour) if INK < colour[1] < PAPER else colour)


def _greys(root: Element, _: random.Random) -> None:
    def luma(colour: Colour) -> Colour:
        red, green, blue = colorsys.hls_to_rgb(*colour)
        return 0.0, 0.299 * red + 0.587 * green + 0.114 * blue, 0.0

    _recolour(root, luma)


def _recolour(root: Element, change: Callable[[Colour], Colour]) -> None:
    """Change each colour of a picture wherever it stands, equal ones alike."""
    changed: dict[str, str] = {}
    for element in root.iter():
        for name in COLOURED:
            found = element.get(name, "")
            if HEX_COLOUR.fullmatch(found):
                if found not in changed:
                    changed[found] = _hex(change(_colour(found)))
                element.set(name, changed[found])


def _colour(code: str) -> Colour:
    digits = code[1:] if len(code) == 7 else "".join(2 * digit for digit in code[1:])
    red, green, blue = (int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4))
    return colorsys.rgb_to_hls(red, green, blue)


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{round(255 * level):02x}" for level in colorsys.hls_to_rgb(*colour))


def _is_ink(code: str) -> bool:
    return HEX_COLOUR.fullmatch(code) is not None and _colour(code)[1] < INK


def _shapes(
    element: Element, fill: str = "#000", stroke: str = "none"
) -> Iterator[tuple[Element, str, str]]:
    """Yield the shapes that are shown, each with the fill and the stroke that it has."""
    kind = str(element.tag).rpartition("}")[2]
    fill, stroke = element.get("fill", fill), element.get("stroke", stroke)
    if kind in SHAPES:
        yield element, fill, stroke
    if kind not in NOT_SHOWN:
        for child in element:
            yield from _shapes(child, fill, stroke)


def _width(root: Element) -> float:
    """Return how wide a picture is in its own units; an icon's 72 where it doesn't say."""
    numbers = re.findall(r"[0-9.]+", root.get("viewBox") or f"0 0 {root.get('width', '')}")
    return float(numbers[2]) if len(numbers) > 2 else 72.0


STYLES: dict[str, Change] = {
    "outlines": _outlines,
    "fills": _fills,
    "thin strokes": _thin,
    "bold strokes": _bold,
    "turned hues": _turned_hues,
    "another palette": _other_palette,
    "greys": _greys,
}
"""By name, in the order in which prepared data keep them."""
