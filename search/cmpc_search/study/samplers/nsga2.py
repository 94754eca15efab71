"""NSGA-II, which breeds each generation from the front of the last (Deb et al., IEEE TEC 2002)."""

from optuna.samplers import NSGAIISampler

from cmpc_search.study.settings import StudySettings

__all__ = ["make_nsga2"]


def make_nsga2(seed: int, settings: StudySettings) -> NSGAIISampler:
    return NSGAIISampler(population_size=settings.population, seed=seed)
