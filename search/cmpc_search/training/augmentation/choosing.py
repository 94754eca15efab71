"""The augmentation that a user set: a kind, and settings of that kind."""

from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import BeforeValidator

from cmpc_search.training.augmentation.base import Augmentation
from cmpc_search.training.augmentation.catalogue import AUGMENTATIONS
from cmpc_search.training.augmentation.drawing import Drawing

__all__ = ["DEFAULT_AUGMENTATION", "AnyAugmentation"]

DEFAULT_AUGMENTATION = Drawing()

if TYPE_CHECKING:
    OneOfAll = Augmentation
else:  # settings are written and read as those of the kind that they are of
    OneOfAll = Union[tuple(map(AUGMENTATIONS.load, AUGMENTATIONS))]  # noqa: UP007


def _of_its_kind(given: Any) -> Any:
    """Read settings as those of the kind that they name, so that errors speak of no other."""
    kind = given.get("kind", DEFAULT_AUGMENTATION.kind) if isinstance(given, dict) else None
    if not isinstance(kind, str):
        return given  # which no kind accepts, unless it is one already
    return AUGMENTATIONS.load(kind).model_validate(given)


AnyAugmentation = Annotated[OneOfAll, BeforeValidator(_of_its_kind)]
