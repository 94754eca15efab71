"""How sure is a mean over queries? Intervals by the paired bootstrap (Efron, 1979).

The queries are drawn again and again from themselves, with replacement, and every mean is taken
anew; the middle 95 % of what comes out is the interval. A resample holds the same queries for every
mean, so that differences and ratios of means are paired: what makes a query hard for all networks
alike cancels out.

An interval tells how far the result may lie from that on other queries of this kind. It knows
nothing of other classes in the gallery, and of other trainings only where several are drawn from as
well (`compare`). It takes queries as independent: where a class has many, it is too narrow. Where
all queries fare alike, all resamples do: for a share the exact interval of Clopper and Pearson
(1934) stands in there, so that nobody is certain of 1.000 after a dozen queries.

Shapes: Q queries, R resamples, M means, which may have several axes, S seeds, K networks.
"""

import math
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator

from cmpc_search.errors import BadArgument

__all__ = [
    "LEVEL",
    "NUM_RESAMPLES",
    "Estimate",
    "Sampled",
    "compare",
    "kendall_tau",
    "resample",
]

LEVEL = 0.95
NUM_RESAMPLES = 10_000
SEED = 0
CHUNK_DRAWS = 1 << 22  # 32 MiB of drawn positions at a time

Rows = npt.NDArray[np.float64]


def _unbounded(high: float | None) -> float:
    """Read the upper end as JSON writes it, which has no infinity."""
    return math.inf if high is None else high


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A number with its 95 % interval; ``high`` is infinite where a ratio has no upper end."""

    value: float
    low: float
    high: Annotated[float, BeforeValidator(_unbounded)]


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """Means over queries, float64 [...], and the same over resamples of them, float64 [R, ...]."""

    value: Rows
    resampled: Rows
    num_queries: int

    def __getitem__(self, position: int | tuple[int, ...]) -> "Sampled":
        where = position if isinstance(position, tuple) else (position,)
        of_all: tuple[slice | int, ...] = (slice(None), *where)
        return replace(self, value=self.value[where], resampled=self.resampled[of_all])

    def __sub__(self, other: "Sampled") -> "Sampled":
        difference = self.resampled - other.resampled
        return replace(self, value=self.value - other.value, resampled=difference)

    def __truediv__(self, other: "Sampled") -> "Sampled":
        """Divide; a resample whose divisor is 0 counts as infinite."""
        ratio = np.full_like(self.resampled, np.inf)
        np.divide(self.resampled, other.resampled, out=ratio, where=other.resampled != 0)
        return replace(self, value=self.value / other.value, resampled=ratio)

    def mean(self) -> "Sampled":
        """Return the mean over the first axis, such as that of several seeds."""
        return replace(self, value=self.value.mean(axis=0), resampled=self.resampled.mean(axis=1))

    @property
    def estimate(self) -> Estimate:
        """One value with the percentile interval of its resamples."""
        ends = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
        # One of the resampled values each: between a finite and an infinite one lies no number.
        low, high = np.quantile(self.resampled, ends, method="inverted_cdf")
        return Estimate(value=float(self.value), low=float(low), high=float(high))

    @property
    def share(self) -> Estimate:
        """The estimate of a mean of numbers from 0 to 1."""
        found = self.estimate
        if found.low == 1:
            return replace(found, low=1 - self.hidden_share)
        return replace(found, high=self.hidden_share) if found.high == 0 else found

    @property
    def difference(self) -> Estimate:
        """The estimate of a mean of numbers from -1 to 1, also where all queries agree."""
        found = self.estimate
        if found.low < found.high:
            return found
        hidden = self.hidden_share
        agreed = (1 - hidden) * found.value
        return replace(found, low=agreed - hidden, high=agreed + hidden)

    @property
    def hidden_share(self) -> float:
        """How many queries may be otherwise, at most, where all that were asked agree."""
        return float(1 - ((1 - LEVEL) / 2) ** (1 / self.num_queries))


def resample(values: Rows, *, num_resamples: int = NUM_RESAMPLES, seed: int = SEED) -> Sampled:
    """Return the means over the queries of ``values`` [Q, ...], with those of the resamples.

    Raises:
        BadArgument: there is no query.
    """
    num_queries = len(values)
    if num_queries == 0:
        raise BadArgument("a mean needs at least one query, got none")
    values_QM = values.reshape(num_queries, -1)
    rng = np.random.default_rng(seed)
    size = max(1, CHUNK_DRAWS // num_queries)
    sums_RM = np.concatenate(
        [
            _draw_counts(rng, min(size, num_resamples - first), num_queries) @ values_QM
            for first in range(0, num_resamples, size)
        ]
    )
    resampled = sums_RM.reshape(num_resamples, *values.shape[1:]) / num_queries
    return Sampled(values.mean(axis=0), resampled, num_queries)


def compare(one: Rows, other: Rows, *, num_resamples: int = NUM_RESAMPLES) -> Estimate:
    """Return by how much the mean of ``one`` is above that of ``other``, float64 [S, Q] each.

    Both are of the same queries, asked of networks with the same seeds; of one network each, or of
    a baseline that has no seeds, [1, Q]. Seeds and queries are drawn again, each for itself (the
    crossed bootstrap of Owen, 2007), so that the interval is that of other trainings as well.

    Raises:
        BadArgument: the queries or seeds differ in number, or there are none.
    """
    if one.shape[1:] != other.shape[1:] or not one.size or len({len(one), len(other), 1}) > 2:
        raise BadArgument(
            "two networks must be compared over the same seeds and queries, got outcomes of "
            f"shapes {one.shape} and {other.shape}"
        )
    differences_SQ = one - other
    num_seeds, num_queries = differences_SQ.shape
    rng = np.random.default_rng(SEED)
    size = max(1, CHUNK_DRAWS // num_queries)
    parts = []
    for first in range(0, num_resamples, size):
        count = min(size, num_resamples - first)
        means_RQ = _draw_counts(rng, count, num_seeds) @ differences_SQ / num_seeds
        parts.append((_draw_counts(rng, count, num_queries) * means_RQ).sum(axis=1) / num_queries)
    mean = np.asarray(differences_SQ.mean())
    return Sampled(mean, np.concatenate(parts), num_queries).difference


def kendall_tau(one: Rows, other: Rows, *, num_resamples: int = NUM_RESAMPLES) -> Estimate:
    """Return how alike two scores float64 [K] order the same networks: tau-b (Kendall, 1945).

    1 where all pairs are ordered alike, -1 where all are reversed, 0 by chance and where a score
    tells none apart. The interval is over other networks of this kind: they are drawn again, and a
    network and its copy count as no pair.

    Raises:
        BadArgument: there are fewer than two networks, or the scores are of different ones.
    """
    if len(one) != len(other) or len(one) < 2:
        raise BadArgument(
            f"an order needs two scores of the same two networks or more, got {len(one)} and "
            f"{len(other)}"
        )
    signs_KK, other_signs_KK = (np.sign(np.subtract.outer(row, row)) for row in (one, other))
    rng = np.random.default_rng(SEED)
    counts_RK = np.concatenate([np.ones((1, len(one))), _draw_counts(rng, num_resamples, len(one))])

    def sums(values_KK: Rows) -> Rows:
        """Sum over all pairs, as often as each is drawn, float64 [1 + R]."""
        return np.asarray(((counts_RK @ values_KK) * counts_RK).sum(axis=1))

    told_apart = np.sqrt(sums(signs_KK**2) * sums(other_signs_KK**2))
    taus = np.zeros(len(counts_RK))
    np.divide(sums(signs_KK * other_signs_KK), told_apart, out=taus, where=told_apart > 0)
    return Sampled(taus[0], taus[1:], len(one)).estimate


def _draw_counts(rng: np.random.Generator, num_resamples: int, num_queries: int) -> Rows:
    """Return how often each query is in each resample, float64 [num_resamples, Q]."""
    drawn = rng.integers(num_queries, size=(num_resamples, num_queries))
    drawn += np.arange(num_resamples)[:, None] * num_queries
    counts = np.bincount(drawn.ravel(), minlength=num_resamples * num_queries)
    return counts.reshape(num_resamples, num_queries).astype(np.float64)
