"""Architectures as Optuna's parameters: two categorical choices a block, and back."""

from collections.abc import Mapping
from typing import Any, Protocol

from optuna.distributions import BaseDistribution, CategoricalDistribution

from cmpc_search.space.architecture import Architecture

__all__ = ["Encoding", "Space"]


class Space(Protocol):
    """What a study needs of a search space; `cmpc_search.space.SearchSpace` has it."""

    @property
    def num_blocks(self) -> int: ...
    @property
    def block_choices(self) -> tuple[int, ...]: ...
    @property
    def width_choices(self) -> tuple[float, ...]: ...
    def macs(self, architecture: Architecture, /) -> int: ...


class Encoding:
    """The parameters ``block_00``, ``width_00``, ``block_01``, ... of one space."""

    def __init__(self, space: Space) -> None:
        self._blocks = [f"block_{index:02d}" for index in range(space.num_blocks)]
        self._widths = [f"width_{index:02d}" for index in range(space.num_blocks)]
        block = CategoricalDistribution(space.block_choices)
        width = CategoricalDistribution(space.width_choices)
        self.distributions: dict[str, BaseDistribution] = {
            **dict.fromkeys(self._blocks, block),
            **dict.fromkeys(self._widths, width),
        }
        choices = len(space.block_choices) * len(space.width_choices)
        self.num_architectures: int = choices**space.num_blocks

    def to_params(self, architecture: Architecture) -> dict[str, int | float]:
        blocks = dict(zip(self._blocks, architecture.blocks, strict=True))
        return blocks | dict(zip(self._widths, architecture.widths, strict=True))

    def from_params(self, params: Mapping[str, Any]) -> Architecture:
        return Architecture(
            blocks=tuple(params[name] for name in self._blocks),
            widths=tuple(params[name] for name in self._widths),
        )
