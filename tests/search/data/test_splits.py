"""Splits and roles: disjoint, seeded, in proportion, and hardly moved by one class more."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmpc_search.data import SplitFractions
from cmpc_search.data.splits import assign_roles, split_classes
from cmpc_search.errors import BadArgument, BadData

names = st.lists(st.text(max_size=8), min_size=8, max_size=80, unique=True)
seeds = st.integers(0, 2**31)
DEFAULT = SplitFractions()


@given(names, seeds)
def test_each_class_is_in_one_split_and_sizes_follow_the_fractions(class_names, seed):
    split = split_classes(class_names, seed=seed, fractions=DEFAULT)

    num_train, num_validation, num_test = np.bincount(split, minlength=3)
    assert num_train + num_validation + num_test == len(class_names)
    assert num_test == round(len(class_names) / 3)
    assert num_validation == round(len(class_names) * 0.1)


@given(names, seeds)
def test_the_order_of_the_classes_does_not_matter(class_names, seed):
    split = dict(
        zip(class_names, split_classes(class_names, seed=seed, fractions=DEFAULT), strict=True)
    )

    turned = class_names[::-1]

    assert split == dict(
        zip(turned, split_classes(turned, seed=seed, fractions=DEFAULT), strict=True)
    )


@given(names, seeds)
def test_one_class_less_moves_a_few_classes_at_most(class_names, seed):
    before = split_classes(class_names, seed=seed, fractions=DEFAULT)[:-1]
    try:
        after = split_classes(class_names[:-1], seed=seed, fractions=DEFAULT)
    except BadData:
        return  # so few that a split is empty

    assert np.count_nonzero(before != after) <= 3  # two across the first border, one the second


def test_another_seed_is_another_split():
    class_names = [f"class {number}" for number in range(100)]

    splits = {
        split_classes(class_names, seed=seed, fractions=DEFAULT).tobytes() for seed in range(5)
    }

    assert len(splits) == 5


def test_the_split_of_seed_0_is_the_same_on_every_machine():
    split = split_classes(["ant", "bee", "cat", "dog", "elk", "fox"], seed=0, fractions=DEFAULT)

    assert split.tolist() == [2, 0, 2, 0, 1, 0]


def test_an_empty_split_is_told_with_its_numbers():
    with pytest.raises(BadData, match="train 3, validation 0, test 1 from 4 classes"):
        split_classes(["a", "b", "c", "d"], seed=0, fractions=DEFAULT)


@pytest.mark.parametrize(
    ("validation", "test"), [(0, 0.5), (0.5, 0), (0.5, 0.5), (float("nan"), 0.1)]
)
def test_fractions_that_leave_nothing_are_refused(validation, test):
    with pytest.raises(BadArgument, match="must hold"):
        SplitFractions(validation=validation, test=test)


@given(st.lists(st.integers(0, 9), max_size=80), seeds)
def test_a_third_of_each_group_asks_but_never_all_of_it(groups, seed):
    item_names = [str(number) for number in range(len(groups))]

    is_query = assign_roles(item_names, np.array(groups, dtype=np.int64), seed=seed)

    for group in set(groups):
        size = groups.count(group)
        num_queries = np.count_nonzero(is_query[np.array(groups) == group])
        assert num_queries == (0 if size == 1 else max(1, round(size / 3)))
