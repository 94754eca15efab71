"""What is held against what, on outcomes of which a hand works out the differences."""

import pytest
from made_up_evaluation import result

from cmpc_search.evaluation.outcomes import SeedResult
from cmpc_search.space.base import Architecture
from cmpc_search.stages.baselines.in_space import InSpace
from cmpc_search.stages.comparing import Contender, compared, failed_row, paragon_row

RIGHT, WRONG = 1, 3
NUM_QUERIES = 40
GALLERY = result([RIGHT] * 36 + [WRONG] * 4)


def ranks(num_right):
    return result([RIGHT] * num_right + [WRONG] * (NUM_QUERIES - num_right))


def contender(row, *seeds, start="supernet", is_compatible=True):
    """A network of which each seed answers so many queries in M(q, q), and so many in M(q, g)."""
    baseline = InSpace(
        row=row,
        name=row,
        words=row,
        start=start,
        is_compatible=is_compatible,
        architecture=Architecture(key=row, options=()),
        method="bct",
    )
    results = tuple(
        SeedResult(
            seed=number, paragon=GALLERY, homogeneous=ranks(own), heterogeneous=ranks(across)
        )
        for number, (own, across) in enumerate(seeds)
    )
    return Contender(baseline=baseline, macs=len(row), results=results)


PICK = contender("pick", (16, 24), (20, 28))
RANDOM = contender("random", (36, 20), (32, 20))
SCRATCH = contender("from-scratch", (12, 20), (12, 22), start="random weights")
BCT = contender("bct", (32, 16), (32, 16), start="random weights")
ALONE = contender("independent", (22, 2), (18, 2), start="random weights", is_compatible=False)


def test_the_pick_is_ahead_by_the_difference_in_top1_across_networks():
    first, random = compared(PICK, [RANDOM])

    assert first.lead is None
    assert first.own.top1.value == pytest.approx(18 / 40)
    assert first.across.top1.value == pytest.approx(26 / 40)
    assert random.own.top1.value == pytest.approx(34 / 40)
    assert random.across.top1.value == pytest.approx(20 / 40)
    assert random.lead.value == pytest.approx(6 / 40)
    assert 0 < random.lead.low < 6 / 40 < random.lead.high
    assert (first.rule, random.rule) == ("holds", "does not hold")
    assert (random.macs, random.lead_alike) == (6, None)


def test_a_network_that_fits_no_gallery_is_worth_its_accuracy_in_its_own():
    _, alone = compared(PICK, [ALONE])

    assert alone.worth_top1.value == pytest.approx(20 / 40)
    assert alone.lead.value == pytest.approx(6 / 40)


def test_what_began_with_random_weights_is_held_against_the_pick_that_did_too():
    _, scratch, bct, random = compared(PICK, [SCRATCH, BCT, RANDOM])

    assert scratch.lead.value == pytest.approx(5 / 40)
    assert bct.lead.value == pytest.approx(10 / 40)
    assert bct.lead_alike.value == pytest.approx(5 / 40)
    assert (scratch.lead_alike, random.lead_alike) == (None, None)


def test_the_paragon_is_the_gallery_network_on_both_sides():
    paragon = paragon_row(PICK, 900)

    assert paragon.own.top1.value == pytest.approx(36 / 40)
    assert (paragon.across, paragon.macs) == (None, 900)
    assert paragon.lead.value == pytest.approx(-10 / 40)


def test_differences_are_paired_so_that_hard_queries_cancel_out():
    """Both miss the same queries but one: unpaired, the interval would be 0.4 wide."""
    _, near = compared(contender("pick", (20, 20)), [contender("random", (20, 19))])

    assert near.lead.value == pytest.approx(1 / 40)
    assert near.lead.low >= 0
    assert near.lead.high - near.lead.low < 0.15


def test_a_network_that_failed_is_a_row_without_numbers_that_says_why():
    row = failed_row(RANDOM.baseline, ValueError("no luck"))

    assert (row.row, row.error, row.across, row.lead) == ("random", "no luck", None, None)
