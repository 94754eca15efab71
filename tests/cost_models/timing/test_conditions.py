"""What the machine did meanwhile: worked out by hand, and seen on this machine."""

import os
import time
from dataclasses import replace

import pytest

from cmpc_cost_models.records.evidence import Conditions, TimingSettings
from cmpc_cost_models.sites.here import pinned
from cmpc_cost_models.targets.machine import ProcessorTimes
from cmpc_cost_models.targets.system_files import NO_FILES
from cmpc_cost_models.timing.blocks import time_in_turn
from cmpc_cost_models.timing.conditions import (
    Snapshot,
    conditions_between,
    conditions_together,
    take_snapshot,
)


def watch_first() -> Snapshot:
    return take_snapshot((0,))


BEFORE = Snapshot(
    clock_s=100.0,
    num_cpus=2,
    thread_s=5.0,
    process_s=6.0,
    waited_s={"1": 0.5, "2": 0.0},
    processors=ProcessorTimes(busy_s=50.0, stolen_s=1.0),
    voluntary=3,
    involuntary=1,
    num_runnable=1,
    load_average=0.1,
    governor="performance",
    clock_mhz=3000.0,
    temperature_c=40.0,
)
AFTER = Snapshot(
    clock_s=102.0,
    num_cpus=2,
    thread_s=6.5,
    process_s=8.0,
    waited_s={"1": 0.7, "2": 0.0, "3": 0.1},
    processors=ProcessorTimes(busy_s=53.01, stolen_s=1.2),
    voluntary=5,
    involuntary=41,
    num_runnable=2,
    load_average=0.2,
    governor="performance",
    clock_mhz=3100.0,
    temperature_c=41.0,
)


def test_conditions_are_what_lies_between_two_snapshots():
    found = conditions_between(BEFORE, AFTER)

    assert found.wall_s == 2.0
    assert found.cpu_share == 0.75
    assert found.waiting_share == pytest.approx(0.1)  # thread 1: 0.2 s of 2 s
    assert found.others_share == pytest.approx(0.25)  # 3 s busy, 2 s own, of 2 x 2 s
    assert found.stolen_share == pytest.approx(0.05)
    assert (found.voluntary_switches, found.involuntary_switches) == (2, 40)
    assert found.governor == ("performance", "performance")
    assert Conditions.from_json(found.to_json()) == found


def test_what_the_timed_process_used_itself_is_not_taken_for_the_work_of_others():
    """Where the system keeps no account of the process, as some boards' kernels don't."""
    before, after = replace(BEFORE, process_s=None), replace(AFTER, process_s=None)

    assert conditions_between(before, after).others_share is None


def test_a_thread_that_sleeps_is_seen_to_sleep():
    before = take_snapshot((0,))
    for _ in range(3):
        time.sleep(0.02)
    found = conditions_between(before, take_snapshot((0,)))

    assert found.cpu_share < 0.5
    assert found.voluntary_switches >= 3


def test_things_are_timed_in_turn_after_a_warm_up_that_waits_for_steady_blocks():
    turns = []
    ramp = iter([5.0, 4.0, 3.0, 2.0])

    def warming(num_runs: int) -> float:
        turns.append("warming")
        return next(ramp, 1.0)

    def restless(num_runs: int) -> float:
        turns.append("restless")
        return 1.0 + len(turns) % 2

    settings = TimingSettings(num_blocks=3, block_ms=1.0, warmup_ms=0.5, max_seconds=1.0)
    alone = time_in_turn([warming], settings, observe=watch_first)
    turns.clear()
    both = time_in_turn([warming, restless], settings, observe=watch_first)

    assert alone.blocks_ms == [[1.0, 1.0, 1.0]]
    assert alone.is_steady
    assert not both.is_steady
    assert turns[-6:] == ["warming", "restless"] * 3


def test_rounds_go_on_until_half_of_them_are_undisturbed():
    slowed = iter([2.0] * (1 + 7 * 4))  # the warm-up, and all of the rounds asked for but one
    settings = TimingSettings(num_blocks=32, block_ms=1.0, warmup_ms=0.0, max_seconds=5.0)

    blocks = time_in_turn([lambda _: next(slowed, 1.0)], settings, observe=watch_first)

    assert blocks.blocks_per_round == 4
    assert blocks.blocks_ms == [[2.0] * 7 * 4 + [1.0] * 7 * 4]


def test_a_system_that_pins_nothing_and_has_no_proc_still_times(monkeypatch):
    for name in ("sched_getaffinity", "sched_setaffinity"):
        monkeypatch.delattr(os, name, raising=False)

    with pinned([0]):
        snapshot = take_snapshot([0], NO_FILES)
    found = conditions_between(snapshot, replace(snapshot, clock_s=snapshot.clock_s + 1))

    assert snapshot.waited_s is None
    assert (snapshot.voluntary, snapshot.involuntary) == (0, 0)
    assert found.waiting_share is found.others_share is found.stolen_share is None


def test_conditions_of_several_rounds_are_weighted_by_their_time():
    long = Conditions(
        wall_s=3.0,
        cpu_share=1.0,
        waiting_share=0.0,
        involuntary_switches=1,
        clock_mhz=(3000.0, 2900.0),
    )
    short = Conditions(
        wall_s=1.0,
        cpu_share=0.5,
        waiting_share=0.4,
        involuntary_switches=2,
        clock_mhz=(2800.0, 2000.0),
    )

    found = conditions_together([long, short])

    assert (found.wall_s, found.cpu_share, found.waiting_share) == (4.0, 0.875, 0.1)
    assert found.involuntary_switches == 3
    assert found.clock_mhz == (3000.0, 2000.0)  # before the first round and after the last
    assert found.stolen_share is None
