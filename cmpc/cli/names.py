"""The names that options may take: help shows them, and a misspelt one is told its nearest.

The tables they come from are in packages that take seconds to load, so they are written down here
once more; a test holds the two equal.
"""

from collections.abc import Sequence

import click

from cmpc_base.names import nearest

__all__ = [
    "COSTS",
    "GALLERY_NETWORKS",
    "METHODS",
    "PROTOCOLS",
    "REWARDS",
    "SAMPLERS",
    "SPACES",
    "SPLITS",
    "NameChoice",
]

COSTS = ("latency", "macs")
GALLERY_NETWORKS = ("residual-small", "resnet18", "resnet50", "resnet101")
METHODS = ("bct", "bct-regression", "independent", "regression")
PROTOCOLS = ("open-set", "verification")
REWARDS = ("homogeneous", "heterogeneous", "product")
SAMPLERS = ("nsga2", "tpe", "random")
SPACES = ("small", "spos")
SPLITS = ("train", "validation", "test")


class NameChoice(click.Choice[str]):
    """One of a few names; the error for any other lists them, the nearest one last."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(list(names))

    def get_invalid_choice_message(self, value: object, ctx: click.Context | None) -> str:
        """Say what the names are, and which one may be meant."""
        message = super().get_invalid_choice_message(value, ctx)
        near = nearest(str(value), self.choices)
        return f"{message} Did you mean {near!r}?" if near else message
