"""An SVG can't take the process with it, and the next one is drawn as if nothing had been."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cmpc_base.errors import MissingLibrary
from cmpc_search.data import load_image, svg_program
from cmpc_search.data import svg as svg_module
from cmpc_search.errors import BadData, FileUnavailable

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8">'
RECT = '<rect width="8" height="8" fill="{}"/>'


def drawing(body: str) -> bytes:
    return f"{HEAD}{body}</svg>".encode()


def nested(opening: str, closing: str, depth: int) -> bytes:
    return drawing(opening * depth + RECT.format("red") + closing * depth)


def chain_of_uses(length: int) -> bytes:
    links = (f'<g id="a{i}"><use href="#a{i - 1}"/></g>' for i in range(1, length))
    return drawing(f'<g id="a0">{RECT.format("red")}</g>{"".join(links)}')


def chain_of_clips(length: int) -> bytes:
    links = (
        f'<clipPath id="c{i}" clip-path="url(#c{i + 1})"><path d="M0 0h9v9z"/></clipPath>'
        for i in range(length)
    )
    return drawing(f'{"".join(links)}<g clip-path="url(#c0)">{RECT.format("red")}</g>')


HUGE_PATTERN = drawing(
    '<pattern id="p" width="1e5" height="1e5" patternUnits="userSpaceOnUse">'
    f'<path d="M0 0h1e9v1e9z"/></pattern>{RECT.format("url(#p)")}'
)

CRASHING = {
    "groups in groups": nested("<g>", "</g>", 5000),
    "drawings in drawings": nested("<svg>", "</svg>", 5000),
    "a chain of uses": chain_of_uses(250),
    "a chain of clips": chain_of_clips(20_000),
    "a huge pattern": HUGE_PATTERN,
}


@pytest.mark.parametrize("name", CRASHING)
def test_a_crashing_svg_is_refused_and_the_next_is_drawn(name):
    with pytest.raises(BadData, match=r"crash|can't be drawn"):
        load_image(CRASHING[name], 8)

    assert np.all(load_image(drawing(RECT.format("#00f")), 8) == [0, 0, 255])


def test_an_svg_that_takes_too_long_is_refused(tmp_path, monkeypatch):
    octaves = '<filter id="f"><feTurbulence baseFrequency="0.5" numOctaves="10000000"/></filter>'
    impatient = tmp_path / "program.py"
    source = Path(svg_program.__file__).read_text(encoding="utf-8")
    impatient.write_text(source.replace("MAX_CPU_S = 30", "MAX_CPU_S = 0.2"), encoding="utf-8")
    monkeypatch.setattr(svg_program, "__file__", str(impatient))
    svg_module._program.close()

    with pytest.raises(BadData, match=r"more than 30 s of processor time"):
        load_image(drawing(octaves + '<rect width="8" height="8" filter="url(#f)"/>'), 8)


def test_a_process_that_somebody_ends_says_nothing_about_the_svg(monkeypatch):
    load_image(drawing(""), 8)
    process = svg_module._program._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    with pytest.raises(
        FileUnavailable, match=r"bytes: the process that draws SVGs was ended from outside"
    ):
        load_image(drawing(""), 8)

    assert np.all(load_image(drawing(""), 8) == 255)


def test_after_an_interruption_no_svg_is_given_the_answer_of_another(monkeypatch):
    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(svg_module, "_read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_image(drawing(RECT.format("#f00")), 8)

    assert np.all(load_image(drawing(RECT.format("#00f")), 8) == [0, 0, 255])


def test_a_long_licence_before_the_drawing_hides_it_not():
    content = f"<!-- {'all rights reserved ' * 500} -->{drawing(RECT.format('#f00')).decode()}"

    assert np.all(load_image(content.encode(), 4) == [255, 0, 0])


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6))
def test_a_damaged_svg_is_drawn_or_refused_and_nothing_else(damage):
    damaged = bytearray(chain_of_clips(3))
    for place, value in damage:
        damaged[place % len(damaged)] = value
    with suppress(BadData):
        assert load_image(bytes(damaged), 8).shape == (8, 8, 3)


def test_threads_get_the_picture_they_asked_for():
    colours = [(level, 255 - level, 7) for level in range(40)]

    def drawn(colour: tuple[int, int, int]) -> list[int]:
        return load_image(drawing(RECT.format(f"rgb{colour}")), 4)[0, 0].tolist()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(drawn, colours)) == [list(colour) for colour in colours]


@pytest.mark.filterwarnings("ignore:This process")  # that has threads: newer Pythons warn
@pytest.mark.skipif(not hasattr(os, "fork"), reason="a fork needs POSIX")
def test_a_forked_process_draws_on_its_own():
    load_image(drawing(""), 4)
    child = os.fork()
    if child == 0:
        try:
            is_right = bool(np.all(load_image(drawing(RECT.format("#0f0")), 4) == [0, 255, 0]))
            svg_module._program.close()
        finally:
            os._exit(0 if is_right else 1)

    assert os.waitpid(child, 0)[1] == 0
    assert np.all(load_image(drawing(""), 4) == 255)


def test_a_library_that_is_not_there_is_named(monkeypatch):
    svg_module._program.close()
    monkeypatch.setattr(svg_module, "find_spec", lambda name: None)

    with pytest.raises(MissingLibrary, match="resvg_py"):
        load_image(drawing(""), 8)


def test_no_other_file_is_drawn_into_an_svg(tmp_path):
    Image.new("RGB", (8, 8), "black").save(tmp_path / "other.png")
    os.mkfifo(tmp_path / "pipe.png")

    for name in ("other.png", "pipe.png"):
        body = f'<image href="{tmp_path / name}" width="8" height="8"/>'
        assert np.all(load_image(drawing(body), 8) == 255)
