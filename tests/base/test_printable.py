"""One rule for text made of file names that are no text."""

import os
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from cmpc_base.printable import last_line, last_lines, one_line, printable, screen_text


@given(st.binary(min_size=1, max_size=30))
def test_every_file_name_becomes_text_and_a_name_in_utf_8_stays_what_it_is(name):
    text = os.fsdecode(name)

    shown = printable(text)

    shown.encode("utf-8")
    try:
        assert shown == name.decode("utf-8")
    except UnicodeDecodeError:
        assert shown == name.decode("utf-8", "backslashreplace")


@given(st.text(st.characters(codec=None), max_size=20))
def test_any_text_at_all_can_be_written(text):
    printable(text).encode("utf-8")


def test_the_bytes_that_are_no_text_are_shown():
    assert printable(os.fsdecode(b"caf\xe9.png")) == r"caf\xe9.png"
    assert printable("\ud800") == r"\ud800"


@given(st.text(st.characters(codec=None), max_size=20))
def test_no_name_moves_a_terminals_cursor_or_colours_it(text):
    shown = screen_text(text)

    assert {c for c in shown if unicodedata.category(c) == "Cc"} <= {"\n"}
    assert shown.count("\n") == text.count("\n")


def test_what_controls_a_terminal_is_shown_as_its_number():
    assert screen_text("a\x1b[31mb\r\x9b") == r"a\x1b[31mb\x0d\x9b"


def test_what_a_library_says_of_its_error_is_told_in_one_line():
    assert one_line("a\n  b\tc ") == "a b c"
    assert last_line(ValueError("from here\n\n  what is wrong \n")) == "ValueError: what is wrong"
    assert last_line(KeyError()) == "KeyError: no message"


def test_the_end_of_what_a_program_said_is_whole_lines_of_it():
    assert last_lines("a\nb\nc\nd\ne \n  f\n") == "b / c / d / e / f"
    assert last_lines("only this") == "only this"
    assert last_lines("") == ""
