"""Baselines whose architecture is one of the search's own space.

Random ones are drawn as dear as the pick may be: from the dearest range of MACs up to the pick's
own, and from cheaper ones only where that holds too few. A search that does no better than they do
was of no use (Li & Talwalkar, UAI 2019).

The others have the pick's own architecture, and show what its weights and its method are worth.
A supernet learned by the run's method, so what compares methods begins with random weights.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from cmpc_search.compatibility.catalogue import PLUS
from cmpc_search.runs import RunFolder
from cmpc_search.space.base import Architecture
from cmpc_search.space.drawing import MacBins
from cmpc_search.space.plan import Plan
from cmpc_search.stages.baselines.base import Baseline, Contest
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.stages.pick_training import QueryPlan, pick_plan
from cmpc_search.stages.seeds import SeedParts
from cmpc_search.stages.settings import SearchSettings, TrainSettings
from cmpc_search.training.settings import PickTraining

__all__ = [
    "PICK",
    "InSpace",
    "bct_alone",
    "from_scratch",
    "independent",
    "random_architectures",
    "regression_alone",
    "the_pick",
]

PICK = "pick"
DRAWS = 20  # for each random architecture: what was drawn already is drawn again


@dataclass(frozen=True, kw_only=True, slots=True)
class InSpace(Baseline):
    """An architecture of the space, trained by a method."""

    method: str

    @property
    def key(self) -> str:
        return self.architecture.key

    def network_plan(self, material: SearchMaterial) -> Plan:
        return material.space.plan(self.architecture)

    def query_plan(self, run: RunFolder, parts: SeedParts, training: PickTraining) -> QueryPlan:
        settings = _by_method(parts.material.settings, self.method)
        own_parts = replace(parts, material=replace(parts.material, settings=settings))
        begun = training.model_copy(update={"from_supernet": self.start == "supernet"})
        return pick_plan(run, own_parts, self.architecture, TrainSettings(pick=begun))


def the_pick(contest: Contest) -> InSpace:
    """Return what all others are held against."""
    return _like_the_pick(contest, PICK, "itself")


def random_architectures(contest: Contest) -> tuple[Baseline, ...]:
    """Return up to as many as are asked for, other than the pick, of at most its MACs."""
    rng = random.Random(contest.material.settings.seed)
    bins = MacBins(contest.material.space, contest.macs)
    drawn = (
        bins.draw(rng, wanted)
        for wanted in reversed(bins.ranges)
        for _ in range(DRAWS * contest.num_random)
    )
    pick = _like_the_pick(contest, "random", "a random architecture within its MACs")
    return tuple(
        replace(pick, name=f"random {number}", architecture=architecture)
        for number, architecture in enumerate(islice(_others(drawn, pick), contest.num_random), 1)
    )


def from_scratch(contest: Contest) -> tuple[Baseline, ...]:
    """Return the pick with random weights to begin with, unless it begins so anyway."""
    if not contest.training.from_supernet:
        return ()
    method = contest.material.settings.method
    return (_anew(contest, "from-scratch", method, "itself begun with random weights"),)


def bct_alone(contest: Contest) -> tuple[Baseline, ...]:
    """Return the architecture trained by backward-compatible training alone."""
    return _by_one_method(contest, "bct", "the same architecture trained by bct alone")


def regression_alone(contest: Contest) -> tuple[Baseline, ...]:
    """Return the architecture trained by regression alone."""
    words = "the same architecture trained by regression alone"
    return _by_one_method(contest, "regression", words)


def independent(contest: Contest) -> tuple[Baseline, ...]:
    """Return the architecture trained on labels alone: it never meets the gallery."""
    words = "the M(q,q) of the same architecture trained without the gallery"
    alone = _by_one_method(contest, "independent", words)
    return tuple(replace(one, is_compatible=False) for one in alone)


def _others(drawn: Iterable[Architecture], pick: InSpace) -> Iterator[Architecture]:
    """Yield each architecture once, and the pick's not at all."""
    known = {pick.architecture}
    for one in drawn:
        if one not in known:
            known.add(one)
            yield one


def _like_the_pick(contest: Contest, row: str, words: str) -> InSpace:
    return InSpace(
        row=row,
        name=row,
        words=words,
        start="supernet" if contest.training.from_supernet else "random weights",
        architecture=contest.architecture,
        method=contest.material.settings.method,
    )


def _anew(contest: Contest, row: str, method: str, words: str) -> InSpace:
    pick = _like_the_pick(contest, row, words)
    return replace(pick, start="random weights", method=method)


def _by_one_method(contest: Contest, method: str, words: str) -> tuple[Baseline, ...]:
    """Return the architecture trained by a method, unless that is the run's: see `from_scratch`."""
    own = contest.material.settings.method
    return () if method == own else (_anew(contest, method, method, words),)


def _by_method(settings: SearchSettings, method: str) -> SearchSettings:
    """Return the settings with another method; its parts keep what is set of them."""
    parts = method.split(PLUS)
    kept = {name: options for name, options in settings.method_settings.items() if name in parts}
    return settings.model_copy(update={"method": method, "method_settings": kept})
