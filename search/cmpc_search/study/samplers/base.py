"""What a sampler is here: one of Optuna's, made for a seed and the settings of a study.

It sees a categorical parameter for each choice of the space, and two values to a trial: a reward
to maximise and the logarithm of a cost to minimise. It stands behind a gate, which asks it again
where it proposes what is known or over the budget (see ``cmpc_search.study.gate``), so it may
propose what it likes.
It is asked for whole architectures: one that must see the first choices of a trial stored before
it makes the next, as Optuna's BruteForceSampler must, fails the contract in
`cmpc_search.testing.samplers`.
"""

from collections.abc import Callable

from optuna.samplers import BaseSampler

from cmpc_search.study.settings import StudySettings

__all__ = ["MakeSampler"]

MakeSampler = Callable[[int, StudySettings], BaseSampler]
"""From the seed of its random numbers, another for each process, and the study's settings."""
