"""TPE, which draws where good candidates were denser than others (Bergstra et al., NIPS 2011)."""

import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import TPESampler

from cmpc_search.study.settings import StudySettings

__all__ = ["make_tpe"]


def make_tpe(seed: int, settings: StudySettings) -> TPESampler:
    """TPE over whole architectures: choice by choice it would sort the study for each one."""
    with warnings.catch_warnings():
        # The argument has been "experimental" since Optuna 2; the warning says no more than that.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True)
