"""Splits and roles: test classes fixed by name, the rest seeded, in proportion, none too small."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmpc_search.data.splits import assign_roles, split_classes
from cmpc_search.errors import BadData

names = st.lists(st.text(max_size=8), min_size=8, max_size=80, unique=True)
seeds = st.integers(0, 2**31)


def splits_of(class_keys, seed=0):
    return dict(zip(class_keys, split_classes(class_keys, seed=seed), strict=True))


def classes_tested(class_keys, seed=0):
    return {key for key, split in splits_of(class_keys, seed).items() if split == 2}


@given(names, seeds)
def test_no_split_has_fewer_than_two_classes_and_none_is_half_off_its_share(class_names, seed):
    num_classes = len(class_names)

    split = split_classes(class_names, seed=seed)

    num_train, num_validation, num_test = np.bincount(split, minlength=3)
    assert num_train + num_validation + num_test == num_classes
    assert min(num_train, num_validation, num_test) >= 2
    assert num_classes / 6 - 1 <= num_test <= max(2, num_classes / 2 + 1)
    rest = num_classes - num_test
    assert num_validation >= max(2, min(10, rest // 3))


@given(names, seeds)
def test_the_order_of_the_classes_does_not_matter(class_names, seed):
    assert splits_of(class_names, seed) == splits_of(class_names[::-1], seed)


@given(names, seeds)
def test_test_classes_are_the_same_under_every_seed(class_names, seed):
    assert classes_tested(class_names, seed) == classes_tested(class_names)


def test_test_classes_are_the_same_in_every_set_that_has_them():
    many = [f"class {number}" for number in range(400)]
    some, others = many[:150], many[100:]

    tested = classes_tested(many)

    assert 400 / 3 - 30 < len(tested) < 400 / 3 + 30
    assert classes_tested(some) == tested & set(some)
    assert classes_tested(others) == tested & set(others)


def test_one_class_more_moves_no_other_where_there_are_enough():
    class_names = [f"class {number}" for number in range(150)]
    whole = splits_of(class_names, seed=3)

    for left_out in class_names[::15]:
        kept = [name for name in class_names if name != left_out]
        assert splits_of(kept, seed=3) == {name: whole[name] for name in kept}


def test_another_seed_is_another_split():
    class_names = [f"class {number}" for number in range(100)]

    splits = {split_classes(class_names, seed=seed).tobytes() for seed in range(5)}

    assert len(splits) == 5


def test_the_split_of_seed_0_is_the_same_on_every_machine():
    split = split_classes(["ant", "bee", "cat", "dog", "elk", "fox"], seed=0)

    assert split.tolist() == [1, 0, 0, 1, 2, 2]


@pytest.mark.parametrize(("seed", "queries"), [(0, [0, 4, 6, 11]), (1, [1, 4, 6, 10])])
def test_the_seed_alone_decides_who_asks_on_every_machine(seed, queries):
    item_names = [f"photo {number}" for number in range(12)]
    groups = np.repeat([0, 1, 2], [6, 4, 2])

    is_query = assign_roles(item_names, groups, seed=seed)

    assert np.flatnonzero(is_query).tolist() == queries


def test_too_few_classes_are_told_with_what_is_needed():
    with pytest.raises(BadData, match="at least 2 classes, which takes 6, got 5 usable classes"):
        split_classes(["a", "b", "c", "d", "e"], seed=0)


@given(st.lists(st.integers(0, 9), max_size=80), seeds)
def test_a_third_of_each_group_asks_but_never_all_of_it(groups, seed):
    item_names = [str(number) for number in range(len(groups))]

    is_query = assign_roles(item_names, np.array(groups, dtype=np.int64), seed=seed)

    for group in set(groups):
        size = groups.count(group)
        num_queries = np.count_nonzero(is_query[np.array(groups) == group])
        assert num_queries == (0 if size == 1 else max(1, round(size / 3)))
