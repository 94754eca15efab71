"""Options that take one of a few names: help shows them, and a misspelt one is told its nearest.

Most names are those of a registry, such as `cmpc_search.compatibility.catalogue.METHODS`. Here are
those of nothing that can be added to, whose homes take seconds to load; a test holds them equal.
"""

from collections.abc import Iterable

import click

from cmpc_base.names import nearest
from cmpc_search.training.augmentation.catalogue import AUGMENTATIONS

__all__ = [
    "COSTS",
    "GALLERY_NETWORK_WAYS",
    "SPLITS",
    "NameChoice",
    "NameSum",
    "augmentation_option",
]

COSTS = ("latency", "macs")
GALLERY_NETWORK_WAYS = ("shipped", "train")
SPLITS = ("train", "validation", "test")


class NameChoice(click.Choice[str]):
    """One of a few names; the error for any other lists them, the nearest one last."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(list(names))

    def get_invalid_choice_message(self, value: object, ctx: click.Context | None) -> str:
        """Say what the names are, and which one may be meant."""
        message = super().get_invalid_choice_message(value, ctx)
        near = nearest(str(value), self.choices)
        return f"{message} Did you mean {near!r}?" if near else message


class NameSum(NameChoice):
    """One of a few names, or several with a sign between them."""

    def __init__(self, names: Iterable[str], sign: str) -> None:
        super().__init__(names)
        self.sign = sign

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return ``value`` if all its parts are names."""
        convert = super().convert
        return self.sign.join(convert(one, param, ctx) for one in value.split(self.sign))


augmentation_option = click.option(
    "--augmentation",
    "augmentation_kind",
    type=NameChoice(AUGMENTATIONS),
    help="How images differ in training; a table [...augmentation] sets how far.  "
    "[default: photo for named sets of photographs, else drawing]",
)
