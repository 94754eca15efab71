"""An architecture is a value, and its key is that value as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmpc_search.errors import BadArgument
from cmpc_search.space import Architecture

CHOICES = st.tuples(st.integers(0, 3), st.integers(1, 300).map(lambda hundredth: hundredth / 100))


@given(st.lists(CHOICES, min_size=1, max_size=24))
def test_the_key_reads_back_as_the_same_architecture(choices):
    blocks, widths = zip(*choices, strict=True)
    architecture = Architecture(blocks, widths)

    found = Architecture.from_key(architecture.key)

    assert found == architecture
    assert hash(found) == hash(architecture)


@given(st.text(alphabet="k3579xcw.-0 ", max_size=20))
def test_text_is_either_a_key_in_full_or_refused(text):
    try:
        architecture = Architecture.from_key(text)
    except BadArgument:
        return
    assert [float(word.partition("w")[2]) for word in text.split("-")] == [*architecture.widths]


def test_the_key_names_operator_and_width_of_each_block():
    assert Architecture((0, 2, 3, 1), (1, 0.6, 1.2, 0.2)).key == "k3w1.0-k7w0.6-xcw1.2-k5w0.2"


@pytest.mark.parametrize(
    "key", ["", "k3", "k4w1.0", "k3w1", "k3w-1.0", "k3w1.0-", "k3w1.0 -k5w1.0", "k3w1.0\n"]
)
def test_a_key_with_a_bad_word_is_refused(key):
    with pytest.raises(BadArgument, match=r"must read like 'k3w1\.0-xcw0\.6'"):
        Architecture.from_key(key)


@pytest.mark.parametrize(
    ("blocks", "widths", "message"),
    [
        ((), (), "one width for each of its blocks"),
        ((0, 1), (1.0,), "got 2 blocks and 1 widths"),
        ((0, 4, -1), (1.0, 1.0, 1.0), r"0\.\.3, got \[-1, 4\]"),
        ((0,), (0.0,), r"widths must lie in .*, got \[0.0\]"),
        ((0,), (float("nan"),), r"widths must lie in .*, got \[nan\]"),
        ((0, 0), (1e-5, 1e20), r"widths must lie in .*, got \[1e-05, 1e\+20\]"),
    ],
)
def test_what_is_no_architecture_is_refused(blocks, widths, message):
    with pytest.raises(BadArgument, match=message):
        Architecture(blocks, widths)
