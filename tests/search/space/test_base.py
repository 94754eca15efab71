"""A space is its choices: keys, samples and neighbours follow from them."""

import random
import re
from dataclasses import dataclass
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmpc_base.errors import UnknownName
from cmpc_search.errors import BadArgument
from cmpc_search.space.base import Architecture, Choice, Space
from cmpc_search.space.presets.catalogue import load_space


@dataclass(frozen=True, kw_only=True)
class Pairs(Space):
    """Three blocks, the last one with a single choice; MACs count what is chosen."""

    name: str = "pairs"
    input_size_px: int = 1
    embedding_dim: int = 1
    choices: tuple[Choice, ...] = (
        *(Choice(name=f"a{at}", options=(3, 5), words=("k3", "k5"), block=at) for at in (0, 1, 2)),
        *(
            Choice(name=f"b{at}", options=(1, 2, 9), words=("x1", "x2", "x9"), block=at)
            for at in (0, 1)
        ),
    )

    def plan(self, architecture: Architecture) -> NoReturn:
        raise NotImplementedError

    def macs(self, architecture: Architecture) -> int:
        return sum(architecture.options)


SPACE = Pairs()


def test_the_key_has_a_word_a_block():
    architecture = SPACE.architecture((0, 1, 1, 2, 0))

    assert architecture.key == "k3x9-k5x1-k5"
    assert SPACE.chosen(architecture) == {"a0": 3, "a1": 5, "a2": 5, "b0": 9, "b1": 1}


@given(st.text(alphabet="k35x129-", max_size=16))
def test_text_is_either_a_key_in_full_or_refused(text):
    is_key = re.fullmatch("k[35]x[129]-k[35]x[129]-k[35]", text) is not None
    try:
        assert SPACE.read(text).key == text
    except BadArgument:
        assert not is_key
    else:
        assert is_key


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("", "must have 3 words like 'k3x1' between hyphens, got 1"),
        ("k3x1-k3x1-k3-", "got 4 in"),
        ("k3x1-k3x1-k4", "of its options, got 'k4'"),
        ("k3x1-k3x1-k3\n", "got 'k3.n'"),
    ],
)
def test_a_key_with_a_bad_word_is_refused(key, message):
    with pytest.raises(BadArgument, match=message):
        SPACE.read(key)


@pytest.mark.parametrize("options", [(0,) * 4, (0, 0, 0, 3, 0), (-1, 0, 0, 0, 0)])
def test_indices_of_no_option_are_refused(options):
    with pytest.raises(BadArgument, match=r"one of \[2, 2, 2, 3, 3\] options"):
        SPACE.architecture(options)


def test_an_architecture_of_another_space_is_refused():
    with pytest.raises(BadArgument, match=r"k3w1\.0 must be an architecture of space 'pairs'"):
        SPACE.chosen(Architecture("k3w1.0", (0,) * 5))


def test_the_covering_architectures_hold_every_outcome_of_every_block():
    covering = [one.key.split("-") for one in SPACE.covering()]

    assert [len({words[at] for words in covering}) for at in range(3)] == [6, 6, 2]
    assert len(covering) == 6


def test_a_sample_is_any_of_all_architectures():
    rng = random.Random(0)

    assert len({SPACE.sample(rng) for _ in range(2000)}) == SPACE.num_architectures == 72


def test_the_smallest_takes_the_best_of_every_block_wherever_that_stands():
    best = (1, 0, 0, 2, 1)

    class Scattered(Pairs):
        def macs(self, architecture: Architecture) -> int:
            return sum(taken != one for taken, one in zip(architecture.options, best, strict=True))

    assert Scattered().smallest().options == best


@pytest.mark.parametrize(
    ("options", "words"), [((), ()), ((1, 2), ("a",)), ((1, 2), ("a", "a")), ((1,), ("a-b",))]
)
def test_options_that_words_do_not_tell_apart_are_refused(options, words):
    with pytest.raises(BadArgument, match="for each a word of its own without '-'"):
        Choice(name="kernel", options=options, words=words, block=0)


def test_a_preset_takes_another_length_and_size():
    space = load_space("spos", embedding_dim=7, input_size_px=48)

    assert (space.embedding_dim, space.input_size_px) == (7, 48)
    assert space.choices == load_space("spos").choices


def test_a_misspelt_space_is_told_the_name_it_is_near_to():
    with pytest.raises(UnknownName, match=r"called 'smal'.* small, .*; .*mean 'small'\?"):
        load_space("smal")
