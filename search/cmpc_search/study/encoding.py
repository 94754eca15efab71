"""Architectures as Optuna's parameters, one categorical for each choice of a space, and back."""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

from cmpc_search.space.base import Architecture, Option, Space

__all__ = ["Encoding"]


class Encoding:
    """The parameters of one space; their values are the options themselves."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self.distributions: dict[str, BaseDistribution] = {
            choice.name: CategoricalDistribution(choice.options) for choice in space.choices
        }

    def to_params(self, architecture: Architecture) -> dict[str, Option]:
        return self._space.chosen(architecture)

    def from_params(self, params: Mapping[str, Any]) -> Architecture:
        choices = self._space.choices
        return self._space.architecture([one.options.index(params[one.name]) for one in choices])
