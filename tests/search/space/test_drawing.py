"""Cheap and dear architectures are drawn as often as those between, and none over a budget."""

import random
from itertools import islice

import pytest

from cmpc_search.space.drawing import MacBins, MacRange, walk
from cmpc_search.space.presets.shufflenet import ELASTIC
from cmpc_search.testing.toy_study import ToySpace

SPACE = ToySpace(num_blocks=12)  # 72 to 672 MACs; the mean of a draw is 300


def drawn_by(draw, num_draws=400):
    rng = random.Random(0)
    return [SPACE.macs(draw(rng)) for _ in range(num_draws)]


def share_of(macs, wanted):
    return sum(not wanted.distance(one) for one in macs) / len(macs)


def test_ranges_have_one_ratio_and_reach_from_end_to_end():
    bins = MacBins(SPACE, num_bins=4)

    assert (bins.ranges[0].low, bins.ranges[-1].high) == (72, 672)
    assert [one.high / one.low for one in bins.ranges] == pytest.approx([(672 / 72) ** 0.25] * 4)


def test_every_range_is_drawn_as_often_where_draws_of_choices_keep_to_the_middle():
    bins = MacBins(SPACE, num_bins=4)
    by_choice, by_macs = drawn_by(SPACE.sample), drawn_by(bins.draw)

    assert [share_of(by_macs, one) for one in bins.ranges] == pytest.approx([0.25] * 4, abs=0.07)
    assert share_of(by_choice, bins.ranges[0]) == 0
    assert share_of(by_choice, bins.ranges[2]) > 0.6


def test_nothing_is_drawn_over_the_budget():
    bins = MacBins(SPACE, 150)

    assert 140 < max(drawn_by(bins.draw)) <= 150
    assert SPACE.macs(bins.largest) <= 150


def test_draws_of_a_range_are_many_architectures():
    bins, rng = MacBins(SPACE, num_bins=4), random.Random(0)

    found = {bins.draw(rng, bins.ranges[1]) for _ in range(200)}
    assert len(found) > 150


def test_ranges_without_architectures_are_left_out():
    space = ToySpace(num_blocks=1, codes=(0, 3), widths=(1.0,))

    bins = MacBins(space)
    assert [space.macs(bins.draw(random.Random(0), one)) for one in bins.ranges] == [10, 40]


def test_a_walk_never_leaves_what_is_wanted_once_it_is_there():
    rng, wanted = random.Random(0), MacRange(100, 120)
    macs = [SPACE.macs(one) for one in islice(walk(SPACE, rng, wanted, SPACE.largest()), 400)]

    there = next(at for at, one in enumerate(macs) if 100 <= one <= 120)
    assert all(100 <= one <= 120 for one in macs[there:])


def test_draws_of_the_small_space_choose_among_all_sizes():
    bins, rng = MacBins(ELASTIC, 20_000_000, num_bins=6), random.Random(0)

    sizes = {ELASTIC.plan(bins.draw(rng)).input_size_px for _ in range(60)}
    assert sizes == {32, 48, 64, 96}
