"""Which threshold lets few impostors pass, and how many genuine pairs pass it? Over all pairs.

Every query is compared with every item, as in 1:1 verification: a pair of one label is genuine, any
other an impostor. Q x G scores are too many to keep or sort, yet the threshold is exact:

    pass 1    count impostors by the upper 16 bits of their score   --> the bin of the threshold
    pass 2    count those in that bin by the lower 16 bits          --> the threshold itself

A float32 has 32 bits and its order is that of its bits (the sign aside), so two passes end at one
number, whatever the data. The kernels give the same bits in both passes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_kernels.compiled.counts import count_keys_under, count_prefixes
from cmpc_kernels.errors import BadArgument
from cmpc_kernels.evaluation.score_tiles import (
    TILE_QUERIES,
    TILE_WORK_BYTES,
    IgnoredPairs,
    LabelledPairs,
    check_labelled_pairs,
)
from cmpc_kernels.nearest.threads import num_useful_threads, run_parts

__all__ = ["VerificationRate", "check_share", "num_allowed_of", "verification_rates"]

HALF = 1 << 16  # the values of half a key
NO_SCORE_PREFIX = 0x80  # upper half of the key of -inf; no cosine shares it
IMPOSTOR, GENUINE = 0, 1

Counts = npt.NDArray[np.int64]
Tile = tuple[npt.NDArray[np.int32], Counts, Counts]


@dataclass(frozen=True, kw_only=True, slots=True)
class VerificationRate:
    """One point of the ROC, at the lowest threshold that keeps the promised rate.

    Attributes:
        allowed_false_accept_rate: What was asked for.
        threshold: A pair is accepted when its cosine is above this float32; -inf accepts all.
        false_accept_rate: Share of impostor pairs accepted, never above the allowed one.
        true_accept_rate: Share of genuine pairs accepted.
        num_genuine, num_impostors: The pairs that were compared.
    """

    allowed_false_accept_rate: float
    threshold: float
    false_accept_rate: float
    true_accept_rate: float
    num_genuine: int
    num_impostors: int


def verification_rates(
    queries: npt.NDArray[Any],
    gallery: npt.NDArray[Any],
    query_labels: npt.ArrayLike,
    gallery_labels: npt.ArrayLike,
    *,
    false_accept_rates: Sequence[float],
    ignored: IgnoredPairs | None = None,
) -> tuple[VerificationRate, ...]:
    """Return TAR at each FAR over all pairs of a query and an item, by cosine.

    ``queries`` is float32 or float16 [Q, D], ``gallery`` [G, D], which may be memory-mapped. Equal
    scores are accepted or refused together. A pair without a score (NaN) is never accepted. Memory
    beside the arguments does not depend on Q or G; the pairs are computed twice.

    Raises:
        BadArgument: shapes, types or rates do not fit, or one kind of pair is missing.
    """
    for rate in false_accept_rates:
        check_share("false_accept_rates", rate)
    pairs = check_labelled_pairs(queries, gallery, query_labels, gallery_labels, ignored)
    upper_2H = _count_prefixes(pairs)
    num_impostors, num_genuine = (int(count) for count in upper_2H.sum(axis=1))
    if not (num_genuine and num_impostors):
        raise BadArgument(
            f"both kinds of pairs are needed, got {num_genuine} genuine and "
            f"{num_impostors} impostor pairs"
        )
    num_allowed = [num_allowed_of(rate, num_impostors) for rate in false_accept_rates]
    prefixes = [_place_from_top(upper_2H[IMPOSTOR], allowed) for allowed in num_allowed]
    prefix_F = np.unique(np.array([p for p in prefixes if p is not None], np.int64))
    lower_F2L = _count_keys_under(pairs, prefix_F)
    rates = []
    for rate, allowed, prefix in zip(false_accept_rates, num_allowed, prefixes, strict=True):
        lower_2L = np.zeros((2, 0), np.int64)
        if prefix is not None:
            lower_2L = lower_F2L[np.searchsorted(prefix_F, prefix)]
        rates.append(_rate(rate, allowed, prefix, upper_2H, lower_2L))
    return tuple(rates)


def num_allowed_of(share: float, num_wrong: int) -> int:
    """Return how many of the wrong ones may pass; 0.1 of 30 is three, in spite of rounding."""
    return int(np.floor(share * num_wrong + 1e-9))


def check_share(name: str, share: float) -> None:
    if not 0 <= share <= 1:
        raise BadArgument(f"`0 <= {name} <= 1` must hold, got {share}; 1e-4 means 0.01 %")


def _rate(
    allowed_rate: float,
    num_allowed: int,
    prefix: int | None,
    upper_2H: Counts,
    lower_2L: Counts,
) -> VerificationRate:
    """Read the threshold and the shares above it off the counts."""
    if prefix is None:  # every impostor may pass
        threshold = -np.inf
        accepted_2 = upper_2H[:, NO_SCORE_PREFIX + 1 :].sum(axis=1)
    else:
        accepted_2 = upper_2H[:, prefix + 1 :].sum(axis=1)
        low = _place_from_top(lower_2L[IMPOSTOR], num_allowed - int(accepted_2[IMPOSTOR]))
        assert low is not None  # its bin holds more impostors than are still allowed
        accepted_2 = accepted_2 + lower_2L[:, low + 1 :].sum(axis=1)
        threshold = _score_of(prefix << 16 | low)
    num_impostors, num_genuine = upper_2H.sum(axis=1)
    return VerificationRate(
        allowed_false_accept_rate=float(allowed_rate),
        threshold=threshold,
        false_accept_rate=float(accepted_2[IMPOSTOR] / num_impostors),
        true_accept_rate=float(accepted_2[GENUINE] / num_genuine),
        num_genuine=int(num_genuine),
        num_impostors=int(num_impostors),
    )


def _count_prefixes(pairs: LabelledPairs) -> Counts:
    """Return int64 [2, H]: impostor and genuine pairs by the upper half of their key."""
    return _count_all(pairs, count_prefixes, (2, HALF))


def _count_keys_under(pairs: LabelledPairs, prefix_F: Counts) -> Counts:
    """Return int64 [F, 2, L]: the pairs under each prefix by the lower half of their key."""
    if not len(prefix_F):
        return np.zeros((0, 2, HALF), np.int64)
    count = partial(count_keys_under, prefix_F)
    return _count_all(pairs, count, (len(prefix_F), 2, HALF))


def _count_all(pairs: LabelledPairs, count: Callable[..., None], shape: tuple[int, ...]) -> Counts:
    """Let ``count`` see every tile; each thread counts for itself, some of the queries."""
    count_S = np.zeros((num_useful_threads(None, TILE_WORK_BYTES), *shape), np.int64)
    for start in range(0, len(pairs.query_QD), TILE_QUERIES):
        block = np.arange(start, min(start + TILE_QUERIES, len(pairs.query_QD)))
        for first_item, score_BC in pairs.tiles(block):
            item_label_C = pairs.gallery_label_G[first_item : first_item + score_BC.shape[1]]
            tile = (score_BC.view(np.int32), pairs.query_label_Q[block], item_label_C)
            run_parts(partial(_count_part, count, tile, count_S), len(block), len(count_S))
    return np.asarray(count_S.sum(axis=0))


def _count_part(
    count: Callable[..., None], tile: Tile, count_S: Counts, part: int, *rows: int
) -> None:
    bit_BC, label_B, item_label_C = tile
    some = slice(*rows)
    count(bit_BC[some], label_B[some], item_label_C, count_S[part])


def _place_from_top(count_H: Counts, num_above: int) -> int | None:
    """Return the bin of the largest value that ``num_above`` others precede; None past the end."""
    from_top_H = np.cumsum(count_H[::-1])
    place = int(np.searchsorted(from_top_H, num_above, side="right"))
    return None if place == len(count_H) else len(count_H) - 1 - place


def _score_of(key: int) -> float:
    """Return the float32 of a key: the way back of ``compiled.counts.ordered_key``."""
    magnitude = key - (1 << 31)
    bits = magnitude if magnitude >= 0 else (1 << 31) - magnitude
    return float(np.array(bits, np.uint32).view(np.float32))
