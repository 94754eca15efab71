"""Which of these schedules is the fastest, on a machine that is never quite quiet?

Successive halving (Karnin et al., ICML 2013): all are timed a little, the better half again and
longer, the last against the incumbent longest; those far behind leave at once. Times are taken
in turn and compared pair by pair, since a sinking clock then hits both of a pair; pairs in which
another process had the core are left out. The incumbent falls only to what is faster by more than
the pairs scatter.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmpc_cost_models.schedules.schedule import Schedule

__all__ = ["Duel", "Times", "fastest_of", "is_faster", "undisturbed_repeats"]

Times = npt.NDArray[np.float64]
Timer = Callable[[Sequence[Schedule], int], Mapping[Schedule, Times]]

FIRST_REPEATS = 4
LAST_REPEATS = 21
KEPT_BELOW = 1.05  # of the incumbent's time, after few repeats
SMALLEST_GAIN = 0.01  # a hundredth is not worth another record, nor sure to last
ERRORS_TO_BEAT = 3.0  # standard errors of the median ratio


@dataclass(frozen=True, kw_only=True, slots=True)
class Duel:
    """What came of a comparison.

    Attributes:
        times_us: Of each schedule, its times in the last round it was in.
        winner: The schedule to use from now on; the incumbent unless it was beaten.
    """

    times_us: dict[Schedule, Times]
    winner: Schedule


def fastest_of(challengers: Sequence[Schedule], incumbent: Schedule, timer: Timer) -> Duel:
    """Time ``challengers`` against ``incumbent``.

    Args:
        timer: Times schedules in turn, so often; it may leave out one that fails.
    """
    left, num_repeats = list(challengers), FIRST_REPEATS
    times: dict[Schedule, Times] = {}
    while True:
        is_last = len(left) <= 1
        latest = timer([incumbent, *left], LAST_REPEATS if is_last else num_repeats)
        times |= latest
        if incumbent not in latest:
            return Duel(times_us=times, winner=incumbent)
        ratios = {
            one: float(np.median(_undisturbed_ratios(latest[one], latest[incumbent])))
            for one in left
            if one in latest
        }
        if is_last:
            break
        near = [one for one, ratio in ratios.items() if ratio < KEPT_BELOW]
        left = sorted(near, key=ratios.__getitem__)[: len(left) // 2]
        num_repeats *= 2
        if not left:
            return Duel(times_us=times, winner=incumbent)
    beaten = ratios and is_faster(times[left[0]], times[incumbent])
    return Duel(times_us=times, winner=left[0] if beaten else incumbent)


def is_faster(times_us: Times, than_us: Times) -> bool:
    """Return whether the first times, taken in turn with the others, are surely shorter."""
    ratios = _undisturbed_ratios(times_us, than_us)
    median = float(np.median(ratios))
    scatter = 1.4826 * float(np.median(np.abs(ratios - median)))  # of normal noise: its deviation
    error = 1.2533 * scatter / math.sqrt(len(ratios))  # a median's, over a mean's, for such noise
    return median + max(SMALLEST_GAIN, ERRORS_TO_BEAT * error) < 1.0


def undisturbed_repeats(*times_us: Times) -> tuple[Times, ...]:
    """Return the fastest third of repeats that were taken in turn.

    What disturbs a repeat makes it longer: those are left out in which all together took long.
    """
    together = np.sum(times_us, axis=0)
    fastest = np.argsort(together)[: -(-len(together) // 3)]
    return tuple(one[fastest] for one in times_us)


def _undisturbed_ratios(times_us: Times, than_us: Times) -> Times:
    mine, others = undisturbed_repeats(times_us, than_us)
    return mine / others
