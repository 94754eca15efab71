"""Which rounds of a timing did nothing disturb? The fastest ones that agree with each other."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["FEWEST_UNDISTURBED", "undisturbed_blocks", "undisturbed_rounds"]

FEWEST_UNDISTURBED = 4  # so many rounds must agree: a single one may be a short leap of the clock
AGREE_WITHIN = 0.01  # between the fastest and the slowest of those that agree
NEAR_FASTEST = 0.02  # above the very fastest round, at most, where the fastest that agree begin


def undisturbed_rounds(blocks_ms: Sequence[float], blocks_per_round: int) -> npt.NDArray[np.bool_]:
    """Tell for each round whether it belongs to the fastest that agree, bool [R].

    Where not enough rounds near the fastest agree, these are the few around the fastest one.
    """
    medians = np.median(np.asarray(blocks_ms).reshape(-1, blocks_per_round), axis=1)
    ordered = np.sort(medians)
    wanted = min(FEWEST_UNDISTURBED, len(ordered))
    last_of_group = ordered[wanted - 1 :]
    first_of_group = ordered[: len(last_of_group)]
    is_level = last_of_group <= first_of_group * (1 + AGREE_WITHIN)
    is_level &= first_of_group <= ordered[0] * (1 + NEAR_FASTEST)
    level = first_of_group[int(np.argmax(is_level))] if is_level.any() else ordered[0]
    return np.asarray(medians <= level * (1 + AGREE_WITHIN))


def undisturbed_blocks(blocks_ms: Sequence[float], blocks_per_round: int) -> npt.NDArray[np.bool_]:
    """Tell for each block whether its round is undisturbed, bool [R * blocks_per_round]."""
    return np.repeat(undisturbed_rounds(blocks_ms, blocks_per_round), blocks_per_round)
