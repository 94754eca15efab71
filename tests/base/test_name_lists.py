"""A list of names is read the same by every command, however its editor saved it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmpc_base.errors import BadArgument
from cmpc_base.name_lists import read_names

NAMES = ["a.png", "b c.png", "ü/é.png", "d\u2028e"]  # the last has a separator that ends no line


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_list_is_the_same_list_however_it_was_saved(tmp_path, encoding, newline):
    path = tmp_path / "names.txt"
    path.write_bytes((newline.join([*NAMES, "", "  "]) + newline).encode(encoding))

    assert read_names(path) == NAMES


@given(names=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"))))
def test_every_name_that_is_not_blank_comes_back_in_order(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("names") / "names.txt"
    path.write_text("\n".join(names), encoding="utf-8-sig", newline="")

    assert read_names(path) == [name for name in names if name.strip()]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("a\nb\ncafé\n".encode("latin-1"), 3),
        ("a\nb\n".encode("utf-16"), 1),
        ("a\nb\n".encode("utf-16-le"), 1),
    ],
    ids=["latin-1", "utf-16", "utf-16-without-mark"],
)
def test_another_encoding_is_told_with_its_line(tmp_path, content, line):
    path = tmp_path / "names.txt"
    path.write_bytes(content)

    with pytest.raises(
        BadArgument, match=re.escape(f"in UTF-8, one a line, and is not from line {line} on")
    ):
        read_names(path)


def test_a_list_that_cannot_be_read_is_no_bug(tmp_path):
    with pytest.raises(BadArgument, match="must be a list of names"):
        read_names(tmp_path / "none.txt")
