"""Letters for any text: a typeface that has them, or else what a reader can still make out.

    every glyph in Pillow's own face         that face: it is on every machine
    else in a face of this machine           the one that has the most of the text
    still missing:  café                     cafe       without what stands above the letter
                    a cat's face (U+1F431)   (cat face) a symbol by its Unicode name
                    U+732B                   \\u732b     as Python and JSON write it

Pillow draws a box for a glyph that a typeface lacks; two classes would look the same.
"""

import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache

from PIL import ImageFont

from cmpc_base.printable import printable

__all__ = ["Lettering", "lettering"]

SYSTEM_FONTS = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "arial.ttf"),
    *("Arial.ttf", "Arial Unicode.ttf", "NotoSansCJK-Regular.ttc", "NotoSansCJKjp-Regular.otf"),
    *("SourceHanSans-Regular.ttc", "DroidSansFallbackFull.ttf", "wqy-zenhei.ttc", "unifont.ttf"),
    *("YuGothR.ttc", "msgothic.ttc", "msyh.ttc", "malgun.ttf", "Hiragino Sans GB.ttc"),
    *("NotoEmoji-Regular.ttf", "Symbola.ttf", "seguisym.ttf", "seguiemj.ttf"),
)
"""Files that systems keep where Pillow looks for typefaces."""

ASCII = "".join(map(chr, range(0x20, 0x7F)))
NO_CHARACTER = "\U0010ffff"
INVISIBLE = {"\u200d", "\ufe0e", "\ufe0f"}  # they join emoji, or choose between two looks of one


@dataclass(frozen=True, kw_only=True, slots=True)
class Lettering:
    """A text as it is drawn, and the typeface that has all of its glyphs."""

    text: str
    font: ImageFont.FreeTypeFont

    @property
    def width_px(self) -> float:
        return float(self.font.getlength(self.text))


@lru_cache(maxsize=10_000)
def lettering(text: str, size_px: float) -> Lettering:
    """Return how a text is drawn at a size; no glyph of it is missing."""
    text = unicodedata.normalize("NFC", printable(text))
    faces = (own_font(size_px), *system_fonts(size_px))
    best = max(faces, key=lambda face: sum(has_glyph(face, character) for character in text))
    return Lettering(text="".join(drawable(best, character) for character in text), font=best)


@cache
def own_font(size_px: float) -> ImageFont.FreeTypeFont:
    """Return the typeface that comes with Pillow, which is therefore on every machine."""
    found = ImageFont.load_default(size_px)
    assert isinstance(found, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return found


@cache
def system_fonts(size_px: float) -> tuple[ImageFont.FreeTypeFont, ...]:
    """Return those typefaces of SYSTEM_FONTS that this machine has, and that can write escapes."""
    found = []
    for name in SYSTEM_FONTS:
        with suppress(OSError):
            found.append(ImageFont.truetype(name, size_px))
    return tuple(font for font in found if all(has_glyph(font, letter) for letter in ASCII))


@lru_cache(maxsize=10_000)
def has_glyph(font: ImageFont.FreeTypeFont, character: str) -> bool:
    """Tell whether a typeface draws something of its own for a character."""
    if character == " ":
        return True
    if unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn") or character in INVISIBLE:
        return False
    return glyph(font, character) != glyph(font, NO_CHARACTER)


def glyph(font: ImageFont.FreeTypeFont, character: str) -> tuple[tuple[int, int], bytes]:
    """Return the pixels of one character."""
    mask = font.getmask(character)
    return mask.size, bytes(mask)


def drawable(font: ImageFont.FreeTypeFont, character: str) -> str:
    """Return a character, or what is drawn in its place; the typeface has all of its glyphs."""
    if has_glyph(font, character):
        return character
    if character in INVISIBLE:
        return ""
    plain = [c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c)]
    if plain and all(has_glyph(font, letter) for letter in plain):
        return "".join(plain)
    if unicodedata.category(character) == "So" and (name := unicodedata.name(character, "")):
        return f"({name.lower()})"
    return character.encode("unicode_escape").decode()
