"""Noise crowns nobody, and what is faster wins: with times that are made up."""

import numpy as np
import pytest

from cmpc_cost_models.schedules.schedule import Schedule
from cmpc_cost_models.tuning.comparing import fastest_of

SCHEDULES = [Schedule(rows=rows) for rows in range(1, 9)]
INCUMBENT = Schedule(rows=100)


def timer_of(true_us, rng, *, noise=0.05, busy=0.3):
    """Return a timer with noise of its own for each time, a load that comes and goes, and, now
    and then, another process in the middle."""

    def time(schedules, num_repeats):
        load = 1 + busy * rng.random(num_repeats)
        return {
            one: true_us[one]
            * load
            * (1 + noise * np.abs(rng.standard_normal(num_repeats)))
            * np.where(rng.random(num_repeats) < 0.25, 3.0, 1.0)
            for one in schedules
        }

    return time


def test_equals_do_not_replace_the_incumbent(rng):
    true_us = dict.fromkeys([*SCHEDULES, INCUMBENT], 50.0)
    timer = timer_of(true_us, rng)

    won = sum(fastest_of(SCHEDULES, INCUMBENT, timer).winner != INCUMBENT for _ in range(100))

    assert won <= 5


def test_the_fastest_wins_although_a_busy_neighbour_moves_times_more_than_schedules_do(rng):
    true_us = {one: 50.0 + one.rows for one in SCHEDULES} | {INCUMBENT: 56.0}
    true_us[SCHEDULES[4]] = 40.0

    duel = fastest_of(SCHEDULES, INCUMBENT, timer_of(true_us, rng))

    assert duel.winner == SCHEDULES[4]
    assert duel.times_us.keys() == {*SCHEDULES, INCUMBENT}


@pytest.mark.parametrize("challengers", [[], SCHEDULES[:1], SCHEDULES])
def test_schedules_that_fail_when_timed_are_left_out(challengers, rng):
    duel = fastest_of(challengers, INCUMBENT, lambda schedules, _: {INCUMBENT: np.ones(5)})

    assert duel.winner == INCUMBENT
    assert duel.times_us.keys() == {INCUMBENT}
