"""Architectures as Optuna's parameters, one categorical for each choice of a space, and back.

Choices of idle blocks have no effect, but Optuna's parameters are always all there. Their values
are drawn, by the architecture's key: were they all alike, a sampler would take that for a finding,
and a child that has such a block would inherit it.
"""

import random
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
        params, rng = self._space.chosen(architecture), random.Random(architecture.key)
        for at in sorted(self._space.idle_blocks(architecture.options)):
            for choice in (self._space.choices[position] for position in self._space.blocks[at]):
                params[choice.name] = rng.choice(choice.options)
        return params

    def from_params(self, params: Mapping[str, Any]) -> Architecture:
        choices = self._space.choices
        return self._space.architecture([one.options.index(params[one.name]) for one in choices])
