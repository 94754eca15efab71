"""The gate that turns bad proposals down for free, whoever proposes (see ``samplers``).

`GuardedSampler` stands between Optuna and a sampler. A proposal that is already known in the study
or over the MAC budget never becomes a trial: the sampler is asked again, in memory, and after
PROPOSALS refusals the guard walks from a random architecture down to the budget. SPOS' search, too,
redraws duplicates and networks over its FLOPs limit (Guo et al., ECCV 2020; up to 500 times). A
trial would cost a database row for each of its choices, and a duplicate row would bias NSGA-II's
population and TPE's densities.

The first candidates are spread over the MACs within the budget: what is drawn choice by choice
keeps to the mean, and a front bred from that has no ends.
"""

import math
import random
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from cmpc_search.space.base import Architecture, Space
from cmpc_search.space.drawing import MacRange, walk
from cmpc_search.study.encoding import Encoding
from cmpc_search.study.samplers.catalogue import SAMPLERS
from cmpc_search.study.settings import StudySettings
from cmpc_search.study.spread import spread_architectures

__all__ = ["Gate", "GuardedSampler", "NoArchitectureLeft", "make_sampler"]

PROPOSALS = 50  # NSGA-II often copies a parent unchanged; 50 known in a row mean it is stuck
STEPS = 1000


class NoArchitectureLeft(Exception):
    """Every proposal and every draw was refused; the loop turns this into its end."""


@dataclass(kw_only=True)
class Gate:
    """What may not be proposed, and how often that happened for the latest proposal."""

    max_macs: int | None = None
    known: Set[str] = frozenset()
    reused: int = 0
    over_budget: int = 0
    least_macs: int | None = None

    def renew(self, known: Set[str]) -> None:
        self.known, self.reused, self.over_budget = known, 0, 0

    def admits(self, architecture: Architecture, space: Space) -> bool:
        if architecture.key in self.known:
            self.reused += 1
            return False
        is_over = self.excess(architecture, space) > 0
        self.over_budget += is_over
        return not is_over

    def excess(self, architecture: Architecture, space: Space) -> int:
        """Return the MACs over the budget; all that are within it are alike."""
        if self.max_macs is None:
            return 0
        macs = space.macs(architecture)
        self.least_macs = macs if self.least_macs is None else min(macs, self.least_macs)
        return max(0, macs - self.max_macs)


class GuardedSampler(BaseSampler):
    """Ask ``base`` for whole architectures until ``gate`` admits one.

    A trial with a stored architecture is one that a dead process left: its choices are fixed.

    Args:
        starts: Architectures that are tried before ``base`` is asked.
    """

    def __init__(
        self,
        base: BaseSampler,
        space: Space,
        gate: Gate,
        *,
        seed: int,
        starts: Sequence[Architecture] = (),
    ) -> None:
        self._base = base
        self._starts = starts
        self._space = space
        self._encoding = Encoding(space)
        self._gate = gate
        self._random = random.Random(seed)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._base.before_trial(study, trial)
        if "architecture" in trial.user_attrs:
            # Optuna asks no sampler about fixed choices, but NSGA-II notes a trial's generation
            # when asked, and a trial without one is in nobody's population.
            self._propose(study, trial)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._encoding.distributions

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        for architecture in self._candidates(study, trial):
            if self._gate.admits(architecture, self._space):
                return self._encoding.to_params(architecture)
        raise NoArchitectureLeft

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._base.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        self._base.after_trial(study, trial, state, values)

    def _candidates(self, study: optuna.Study, trial: FrozenTrial) -> Iterator[Architecture]:
        if starts := [one for one in self._starts if one.key not in self._gate.known]:
            self._propose(study, trial)  # and let go: NSGA-II notes the trial's generation then
            yield from starts
        for _ in range(PROPOSALS):
            yield self._propose(study, trial)
        within = MacRange(high=math.inf if self._gate.max_macs is None else self._gate.max_macs)
        start = self._space.sample(self._random)
        yield from islice(walk(self._space, self._random, within, start), STEPS)

    def _propose(self, study: optuna.Study, trial: FrozenTrial) -> Architecture:
        base_space = self._base.infer_relative_search_space(study, trial)
        params = self._base.sample_relative(study, trial, base_space)
        for name, distribution in self._encoding.distributions.items():
            if name not in params:
                params[name] = self.sample_independent(study, trial, name, distribution)
        return self._encoding.from_params(params)


def make_sampler(
    settings: StudySettings, space: Space, gate: Gate, *, session: int
) -> GuardedSampler:
    """Return the sampler that ``settings`` names, behind its guard.

    Args:
        session: How many processes have worked on this study before. Each gets its own random
            numbers, or a resumed study would propose once more what it began with.

    Raises:
        UnknownName: there is no such sampler.
    """
    make = SAMPLERS.load(settings.sampler)
    seeds = np.random.SeedSequence([settings.seed, session]).generate_state(2)
    starts = spread_architectures(
        space, settings.num_starts, max_macs=settings.budget.macs, seed=settings.seed
    )
    return GuardedSampler(
        make(int(seeds[0]), settings),
        space,
        gate,
        seed=int(seeds[1]),
        starts=random.Random(settings.seed).sample(starts, len(starts)),
    )
