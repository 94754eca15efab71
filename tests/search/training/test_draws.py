"""A view's numbers are its own, whatever its batch, and nobody can tell them from random ones."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cmpc_search.training.draws import Draws

MANY = torch.arange(20_000)
SEEDS = st.integers(0, 2**40)
NUMBERS = st.lists(st.integers(0, 2**62), min_size=1, max_size=5)


def drawn(draws):
    """What a view may draw, one call after the other, flat for each view."""
    parts = (draws.uniform(), draws.uniform(3, 2), draws.below(1000), draws.between(-2, 5, 4))
    return torch.cat(
        [part.double().flatten(1) if part.ndim > 1 else part[:, None] for part in parts], 1
    )


@given(seed=SEEDS, numbers=NUMBERS, others=NUMBERS)
def test_a_view_draws_the_same_numbers_in_any_batch(seed, numbers, others):
    together = drawn(Draws(seed, torch.tensor(others + numbers)))

    for place, number in enumerate(numbers):
        alone = drawn(Draws(seed, torch.tensor([number])))
        assert alone[0].equal(together[len(others) + place])


def test_the_hash_is_that_of_splitmix64():
    """Checked against its definition in whole numbers without a width."""

    def mixed(value):
        mask = 2**64 - 1
        value = ((value & mask) ^ ((value & mask) >> 30)) * 0xBF58476D1CE4E5B9 & mask
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB & mask
        return value ^ (value >> 31)

    state = mixed(mixed(mixed(7 + 0x9E3779B97F4A7C15) + 123))
    first, second = (
        mixed(state + (call * 2**32 + 1) * 0x9E3779B97F4A7C15) >> 40 for call in (0, 1)
    )

    draws = Draws(7, torch.tensor([123]))

    assert [draws.uniform().item(), draws.uniform().item()] == [first / 2**24, second / 2**24]


@pytest.mark.parametrize("seed", [0, 1])
def test_numbers_are_even_on_the_unit_interval(seed):
    found = Draws(seed, MANY).uniform(4).double().numpy()

    assert found.min() >= 0
    assert found.max() < 1
    places = (np.arange(len(MANY)) + 0.5) / len(MANY)
    distances = np.abs(np.sort(found, axis=0) - places[:, None]).max(axis=0)
    # Kolmogorov and Smirnov: greater than this by chance once in 10,000 columns.
    assert (distances < 2.22 / np.sqrt(len(MANY))).all()


def test_columns_calls_seeds_and_neighbours_know_nothing_of_each_other():
    draws = Draws(3, MANY)
    columns = [draws.uniform(2), draws.uniform(2), Draws(4, MANY).uniform(1)]
    columns.append(Draws(3, MANY + 1).uniform(1))  # each beside its successor's
    related = np.corrcoef(torch.cat(columns, dim=1).numpy().T)

    assert np.abs(related - np.eye(6)).max() < 4.5 / np.sqrt(len(MANY))


def test_whole_numbers_and_shares_come_as_often_as_they_should():
    draws = Draws(0, MANY)

    counts = np.bincount(draws.below(7).numpy(), minlength=7)
    expected = len(MANY) / 7
    assert len(counts) == 7
    assert ((counts - expected) ** 2 / expected).sum() < 27.9  # chi squared, 6 degrees: 1 in 10,000
    assert abs(draws.happens(0.3).float().mean() - 0.3) < 4 * (0.21 / len(MANY)) ** 0.5
    assert not draws.happens(0.0).any()
    assert draws.happens(1.0).all()
