"""The promise of a baseline: how it is trained from the parts of a seed, and what it is.

Whatever may differ from the pick is named here; all else is the same for all: the views, their
order, the number of steps, the finishing, the test queries.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cmpc_search.runs import RunFolder
from cmpc_search.space.base import Architecture
from cmpc_search.space.plan import Plan
from cmpc_search.stages.material import SearchMaterial
from cmpc_search.stages.pick_training import QueryPlan
from cmpc_search.stages.seeds import SeedParts
from cmpc_search.training.settings import PickTraining

__all__ = ["Baseline", "Contest", "MakeBaselines", "Start"]

Start = Literal["supernet", "random weights"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Contest:
    """The pick that baselines are held against.

    Attributes:
        architecture: That of the pick.
        training: How the pick and all baselines are trained; those that no supernet knows begin
            with random weights.
        num_random: How many random architectures take part.
    """

    material: SearchMaterial
    architecture: Architecture
    training: PickTraining
    num_random: int

    @property
    def macs(self) -> int:
        """What one image costs the pick."""
        return self.material.space.macs(self.architecture)


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline(ABC):
    """A network to train beside the pick.

    Attributes:
        row: Its name in `BASELINES`, which several may share.
        name: What tables call it.
        words: What a sentence calls it, after "the pick beats".
        architecture: Its own, or that of the pick if it is none of the space; it gives the size of
            the images.
        start: What its training begins with.
        is_compatible: Whether it is trained to fit the gallery; else M(q, q) is what it is worth.
    """

    row: str
    name: str
    words: str
    architecture: Architecture
    start: Start
    is_compatible: bool = True

    @property
    @abstractmethod
    def key(self) -> str:
        """What tells its network from others, fit for the name of a folder."""

    @abstractmethod
    def network_plan(self, material: SearchMaterial) -> Plan:
        """Return its network."""

    @abstractmethod
    def query_plan(self, run: RunFolder, parts: SeedParts, training: PickTraining) -> QueryPlan:
        """Plan its training from the parts of a seed.

        Raises:
            BadArgument: there can be no such network.
        """


MakeBaselines = Callable[[Contest], tuple[Baseline, ...]]
"""Gives the baselines of a row; none where it would be the pick itself."""
