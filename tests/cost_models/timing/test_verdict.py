import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from meters import PretendedSite

from cmpc_cost_models.models.measurements import TimingContext, measurement_of
from cmpc_cost_models.records.evidence import Conditions, TimingSettings
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.timing.blocks import Blocks, with_single_runs
from cmpc_cost_models.timing.verdict import doubts_of_ratio, percentiles_of, summarise_blocks

QUIET_BLOCKS = [1.0, 1.01, 0.99, 1.0, 1.01, 0.99, 1.0, 1.01, 0.99] * 3
SETTINGS = TimingSettings(
    num_blocks=3, block_ms=1.0, warmup_ms=0.0, max_seconds=1.0, num_single_runs=400
)
NETWORK = SimpleNamespace(
    sha256="ab", num_kernels_by_origin=lambda: {"rule": 3}, schedules_sha256="cd"
)
CONTEXT = TimingContext(
    site=PretendedSite({}), target=find_target("host"), settings=SETTINGS, doubts=()
)
QUIET = Conditions(wall_s=1.0, cpu_share=0.999, waiting_share=0.0, stolen_share=0.0)


def test_quiet_blocks_are_trusted():
    blocks = summarise_blocks(QUIET_BLOCKS, QUIET)

    assert blocks.unstable_reasons == ()
    assert blocks.undisturbed_ms == 1.0
    assert blocks.mad_ms == pytest.approx(0.01)
    assert blocks.drift == 0.0


@pytest.mark.parametrize(
    ("blocks_ms", "reason"),
    [
        ([1.0, 1.2] * 6, "spread by"),
        ([1.0] * 8 + [1.02, 1.03, 1.04, 1.1] + [1.1] * 8, r"drifted by \+10"),
        ([1.0, 1.015, 0.985], "too few blocks"),
    ],
)
def test_blocks_that_disagree_are_doubted(blocks_ms, reason):
    [*_, last] = summarise_blocks(blocks_ms, QUIET).unstable_reasons

    assert re.search(reason, last)


def test_rounds_that_something_slowed_down_are_set_aside_and_counted():
    fast, slow = [1.0, 1.002, 0.998, 1.0], [1.08, 1.09, 1.08, 1.08]

    blocks = summarise_blocks((fast + 2 * slow) * 5, QUIET, blocks_per_round=4)

    assert blocks.unstable_reasons == ()
    assert blocks.undisturbed_ms == 1.0
    assert blocks.disturbed_share == pytest.approx(2 / 3)
    assert (blocks.num_blocks, blocks.num_set_aside) == (20, 40)


def test_a_machine_that_becomes_slower_and_stays_so_is_doubted():
    cool, hot = [1.0, 1.002, 0.998, 1.0], [1.3, 1.302, 1.298, 1.3]

    [doubt] = summarise_blocks(cool * 5 + hot * 5, QUIET, blocks_per_round=4).unstable_reasons

    assert "has become slower" in doubt
    assert summarise_blocks(hot * 5 + cool * 5, QUIET, blocks_per_round=4).unstable_reasons == ()


def test_percentiles_are_those_of_single_runs_and_none_of_too_few():
    single_ms = [1.0] * 95 + [9.0] * 5  # the mean of every block of 100 runs would be 1.4

    found = percentiles_of(single_ms)

    assert found == {"p50": 1.0, "p90": 1.0, "p99": 9.0}
    assert percentiles_of(single_ms[:99])["p99"] is None
    assert set(percentiles_of([1.0] * 9).values()) == {None}


def test_a_latency_is_of_the_blocks_and_single_runs_of_its_own_network():
    disturbed = [9.0] * 4
    blocks = Blocks(
        blocks_ms=[[1.0] * 20 + disturbed, [2.0, 2.0, 2.02, 1.98] * 5 + disturbed],
        blocks_per_round=4,
        runs_per_block=[10, 5],
        warmup_ms=1.0,
        is_steady=True,
        conditions=QUIET,
        single_ms=[[1.1] * 100, [2.2] * 89 + [7.0] * 10 + [8.0]],
    )
    measured = measurement_of(NETWORK, blocks, 1, CONTEXT)

    cost = measured.cost
    assert (cost.value, cost.unit, cost.source) == (2.0, "ms", "measured")
    assert (cost.count, cost.num_set_aside, cost.num_single_runs) == (20, 4, 100)
    assert (cost.p50, cost.p90) == (2.2, 7.0)
    assert cost.evidence.disturbed_share == pytest.approx(1 / 6)
    assert (cost.artefact_sha256, cost.kernel_origins) == ("ab", {"rule": 3})
    assert cost.schedules_sha256 == "cd"


@pytest.mark.parametrize(("num_runs", "is_stable"), [(40, True), (80, False)])
def test_times_that_are_longer_than_they_took_here_are_doubted(num_runs, is_stable):
    blocks = Blocks(
        blocks_ms=[[1.0] * 20],
        blocks_per_round=4,
        runs_per_block=[num_runs],
        warmup_ms=1.0,
        is_steady=True,
        conditions=QUIET,
    )

    found = measurement_of(NETWORK, blocks, 0, CONTEXT)

    assert found.is_stable == is_stable
    assert is_stable or "by the clock that timed them" in found.unstable_reasons[0]


def test_of_what_is_slow_fewer_single_runs_are_timed_and_none_where_nobody_asked():
    blocks = Blocks(
        blocks_ms=[[0.1, 0.2], [50.0, 60.0]],
        blocks_per_round=1,
        runs_per_block=[10, 1],
        warmup_ms=1.0,
        is_steady=True,
        conditions=QUIET,
    )
    runners = [lambda number: [0.1] * number, lambda number: [50.0] * number]

    timed = with_single_runs(blocks, runners, SETTINGS)

    assert [len(one) for one in timed.single_ms] == [400, 20]
    assert Blocks.from_json(json.loads(json.dumps(timed.to_json()))) == timed
    unasked = with_single_runs(blocks, runners, replace(SETTINGS, num_single_runs=0))
    assert unasked.single_ms == [[], []]


def test_a_single_fast_round_is_luck():
    blocks = summarise_blocks([1.0] * 4 + [1.08] * 36, QUIET, blocks_per_round=4)

    assert "only 1 of 10 rounds" in blocks.unstable_reasons[0]


def test_a_short_leap_of_the_clock_does_not_discredit_rounds_that_agree():
    blocks = summarise_blocks([0.988] * 4 + [1.0] * 24 + [1.07] * 12, QUIET, blocks_per_round=4)

    assert blocks.unstable_reasons == ()
    assert blocks.undisturbed_ms == 1.0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cpu_share": 0.7}, "had its core for 70%"),
        ({"waiting_share": 0.5}, "waited for its core 50%"),
        ({"others_share": 0.2}, "others used 20%"),
        ({"stolen_share": 0.1}, "hypervisor took 10%"),
        ({"clock_mhz": (3000.0, 2000.0)}, "from 3000 to 2000 MHz"),
        ({"governor": ("performance", "powersave")}, "from performance to powersave"),
    ],
)
def test_a_busy_machine_is_doubted_even_where_blocks_agree(change, reason):
    [only] = summarise_blocks(QUIET_BLOCKS, replace(QUIET, **change)).unstable_reasons

    assert reason in only


def test_a_single_tick_of_the_system_clock_raises_no_doubt():
    short = replace(QUIET, wall_s=0.1, stolen_share=0.2, others_share=0.2)  # 20 ms: two ticks

    assert summarise_blocks(QUIET_BLOCKS, short).unstable_reasons == ()


def test_a_ratio_is_trusted_when_enough_pairs_agree():
    assert list(doubts_of_ratio(0.01, 20)) == []
    assert "known to" in next(doubts_of_ratio(0.2, 20))
