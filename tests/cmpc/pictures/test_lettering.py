"""No letter of a picture is a box, whatever the text and the typefaces of the machine."""

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageFont

from cmpc.pictures import lettering as module
from cmpc.pictures.lettering import lettering

SIZE_PX = 14


@pytest.fixture(params=["no typeface", "those of this machine"])
def typefaces(request, monkeypatch):
    """Look at a machine without typefaces too, and forget what was found on another."""
    if request.param == "no typeface":
        monkeypatch.setattr(module, "SYSTEM_FONTS", ())
    for function in (module.system_fonts, module.lettering):
        function.cache_clear()
    yield request.param
    for function in (module.system_fonts, module.lettering):
        function.cache_clear()


def boxes(text: str, font: ImageFont.FreeTypeFont) -> list[str]:
    """Return the characters that Pillow draws as it draws what is no character at all."""
    box = bytes(font.getmask("\U0010fffe"))
    return [letter for letter in text if letter != " " and bytes(font.getmask(letter)) == box]


TEXTS = [
    *("chair", "café", "straße", "猫 と 犬", "\U0001f408\u200d\u2b1b cat", "Жук", "كلب"),
    *("a\nb\tc", "\udce9", ""),
]


@pytest.mark.parametrize("text", TEXTS)
def test_no_letter_is_a_box(typefaces, text):
    drawn = lettering(text, SIZE_PX)

    assert boxes(drawn.text, drawn.font) == []
    assert drawn.width_px == drawn.font.getlength(drawn.text)


@given(st.text(max_size=8))
def test_no_letter_of_any_text_is_a_box(text):
    drawn = lettering(text, SIZE_PX)

    assert boxes(drawn.text, drawn.font) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("chair [old]", "chair [old]"),
        ("café", "cafe"),
        (unicodedata.normalize("NFD", "café"), "cafe"),
        ("猫", r"\u732b"),
        ("🐱", "(cat face)"),
        ("❤️", "(heavy black heart)"),
        ("a\nb", r"a\nb"),
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
    ],
)
def test_what_no_typeface_has_is_written_so_that_it_can_be_told(monkeypatch, text, shown):
    monkeypatch.setattr(module, "SYSTEM_FONTS", ())
    module.system_fonts.cache_clear()
    module.lettering.cache_clear()

    assert lettering(text, SIZE_PX).text == shown

    module.system_fonts.cache_clear()
    module.lettering.cache_clear()


def test_a_typeface_of_the_machine_is_used_where_it_has_the_letters():
    try:
        ImageFont.truetype("DejaVuSans.ttf", SIZE_PX)
    except OSError:
        pytest.skip("this machine has no DejaVu Sans")

    assert lettering("Жук café", SIZE_PX).text == "Жук café"
    assert lettering("chair", SIZE_PX).font is module.own_font(SIZE_PX)
