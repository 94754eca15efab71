"""Every architecture alike: what any other sampler must beat."""

from optuna.samplers import RandomSampler

from cmpc_search.study.settings import StudySettings

__all__ = ["make_random"]


def make_random(seed: int, settings: StudySettings) -> RandomSampler:
    return RandomSampler(seed=seed)
