"""What a timing says of itself: where it was taken, what nobody saw, and which number is which."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from meters import PretendedSite

from cmpc_cost_models.models import measurements
from cmpc_cost_models.models.measurements import (
    CONDITIONS,
    FREE_THREADS,
    UNKNOWN_PROCESSOR,
    TimingContext,
    measurement_of,
)
from cmpc_cost_models.records.evidence import Conditions, Fingerprint
from cmpc_cost_models.sites.base import NO_FACTS, SiteFacts
from cmpc_cost_models.targets.table import find_target
from cmpc_cost_models.timing.blocks import Blocks
from cmpc_cost_models.timing.settings import MeasureSettings

BOARD_FACTS = SiteFacts(
    fingerprint=Fingerprint(cpu_model="0xd08", architecture="aarch64"),
    features=frozenset({"asimd"}),
)
ALL_SEEN = Conditions(
    wall_s=1.0,
    waiting_share=0.0,
    others_share=0.0,
    stolen_share=0.0,
    clock_mhz=(1500.0, 1500.0),
    temperature_c=(40.0, 41.0),
)


def board(facts=BOARD_FACTS):
    return PretendedSite({}, facts=facts, name="rpc://board:9090", is_remote=True)


def here():
    return PretendedSite({}, facts=BOARD_FACTS)


def cost_of(site, *, conditions=ALL_SEEN, index=0):
    """Return the cost of one of two networks, the second of which is twice as slow."""
    blocks = Blocks(
        blocks_ms=[[1.0, 1.004] * 6, [2.0, 2.008] * 6],
        blocks_per_round=1,
        runs_per_block=[1, 1],
        warmup_ms=1.0,
        is_steady=True,
        conditions=conditions,
        single_ms=[[float(number) for number in range(101)], [float(200)] * 101],
    )
    network = SimpleNamespace(sha256="one", num_kernels_by_origin=dict, schedules_sha256="tuned")
    context = TimingContext.after_timing(site, find_target("arm"), MeasureSettings().timing)
    return measurement_of(network, blocks, index, context).cost


def test_what_is_timed_on_a_board_is_told_of_the_board_and_not_of_this_machine():
    cost = cost_of(board())

    assert cost.evidence.fingerprint == BOARD_FACTS.fingerprint
    assert cost.evidence.device == "rpc://board:9090"
    assert cost.evidence.cpus == ()
    assert cost.target == "cortex-a72"
    assert cost_of(here()).evidence.device is None


@pytest.mark.parametrize(
    ("site", "can_pin", "unseen"),
    [
        (here(), True, ()),
        (here(), False, (FREE_THREADS,)),
        (board(), False, ()),
        (board(NO_FACTS), True, (UNKNOWN_PROCESSOR,)),
    ],
)
def test_a_site_says_what_it_can_not_promise_of_threads_and_processor(
    site, can_pin, unseen, monkeypatch
):
    monkeypatch.setattr(measurements, "can_pin", lambda: can_pin)

    assert cost_of(site).not_observed == unseen


@pytest.mark.parametrize("name", CONDITIONS)
def test_each_condition_that_a_system_keeps_to_itself_is_named_alone(name):
    nothing = (None, None) if isinstance(getattr(ALL_SEEN, name), tuple) else None

    found = cost_of(board(), conditions=replace(ALL_SEEN, **{name: nothing}))

    assert found.not_observed == (CONDITIONS[name],)


def test_each_number_of_a_timing_stands_in_its_own_field():
    first, second = (cost_of(here(), index=index) for index in (0, 1))

    assert (first.value, second.value) == pytest.approx((1.002, 2.004))
    assert (first.spread, second.spread) == pytest.approx((0.002, 0.004))
    assert (first.unit, first.drift) == ("ms", 0.0)
    assert first.count + first.num_set_aside == 12
    assert first.count >= 10
    assert (first.p50, first.p90, first.p99, second.p50) == (50.0, 90.0, 99.0, 200.0)
    assert first.num_single_runs == 101
    assert (first.artefact_sha256, first.schedules_sha256) == ("one", "tuned")
