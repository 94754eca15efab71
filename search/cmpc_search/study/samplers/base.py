"""What a sampler is here: one of Optuna's, made for a seed and the settings of a study.

It sees a categorical parameter for each choice of the space, and two values to a trial: a reward
to maximise and a cost to minimise. It stands behind a gate, which asks it again where it proposes
what is known or over the budget (see ``cmpc_search.study.gate``), so it may propose what it likes.
`cmpc_search.testing.samplers` holds what it must keep.
"""

from collections.abc import Callable

from optuna.samplers import BaseSampler

from cmpc_search.study.settings import StudySettings

__all__ = ["MakeSampler"]

MakeSampler = Callable[[int, StudySettings], BaseSampler]
"""From the seed of its random numbers, another for each process, and the study's settings."""
