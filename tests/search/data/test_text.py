"""Equal names compare equal, however they were typed."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmpc_search.data.text import normalised_text

BLANKS = st.text(st.sampled_from(" \t\n\u00a0\u2003\u3000"), max_size=3)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("c00 ", "c00"),
        ("\tred\u00a0\u00a0shoe\n", "red shoe"),
        ("cafe\u0301", "caf\u00e9"),
        ("Shoe", "Shoe"),  # capitals are a difference that people mean
        ("\U0001f468\u200d\U0001f373", "\U0001f468\u200d\U0001f373"),  # joiners make an emoji
    ],
)
def test_blanks_and_unicode_forms_are_no_difference(typed, meant):
    assert normalised_text(typed) == meant


@given(st.text(), BLANKS, BLANKS)
def test_whatever_is_typed_around_it_the_text_stays_and_is_normal(text, before, after):
    found = normalised_text(text)

    assert normalised_text(before + text + after) == found
    assert normalised_text(unicodedata.normalize("NFD", text)) == found
    assert normalised_text(found) == found
