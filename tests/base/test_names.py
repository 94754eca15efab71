"""A few of many names, and the one that was meant."""

from cmpc_base.names import few, nearest, suggestion


def test_of_many_names_the_first_are_shown_and_the_others_counted():
    assert few(["a", "b"]) == "a, b"
    assert few(["a", "b", "c"]) == "a, b, c"
    assert few(range(9), 2, separator="; ") == "0; 1; and 7 more"


def test_a_misspelt_name_is_told_what_it_is_like_and_another_one_what_there_is():
    assert nearest("randon", ["tpe", "random"]) == "random"
    assert nearest("xyz", ["tpe", "random"]) is None
    assert suggestion("randon", ["tpe", "random"]) == "did you mean 'random'?"
    assert suggestion("xyz", ["tpe", "random"]) == "choose from tpe, random"
