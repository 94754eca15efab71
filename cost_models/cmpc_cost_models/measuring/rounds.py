"""Which rounds of a timing did nothing disturb? Those that are as fast as the fastest."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["FEWEST_UNDISTURBED", "NEAR_FASTEST", "undisturbed_blocks", "undisturbed_rounds"]

NEAR_FASTEST = 0.02  # a round is undisturbed when its median is no more above the fastest one's
FEWEST_UNDISTURBED = 4  # one fast round may be a clock's short leap; four agree


def undisturbed_rounds(blocks_ms: Sequence[float], blocks_per_round: int) -> npt.NDArray[np.bool_]:
    """Tell for each round whether it is near the fastest, bool [R]."""
    medians = np.median(np.asarray(blocks_ms).reshape(-1, blocks_per_round), axis=1)
    return np.asarray(medians <= medians.min() * (1 + NEAR_FASTEST))


def undisturbed_blocks(blocks_ms: Sequence[float], blocks_per_round: int) -> npt.NDArray[np.bool_]:
    """Tell for each block whether its round is near the fastest, bool [R * blocks_per_round]."""
    return np.repeat(undisturbed_rounds(blocks_ms, blocks_per_round), blocks_per_round)
