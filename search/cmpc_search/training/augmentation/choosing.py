"""The augmentation that a user set: a kind, and settings of that kind."""

from typing import Annotated, Any

from pydantic import BeforeValidator

from cmpc_search.training.augmentation.catalogue import AUGMENTATIONS
from cmpc_search.training.augmentation.drawing import Drawing
from cmpc_search.training.augmentation.photo import Photo

__all__ = ["DEFAULT_AUGMENTATION", "AnyAugmentation"]

DEFAULT_AUGMENTATION = Drawing()


def _of_its_kind(given: Any) -> Any:
    """Read settings as those of the kind that they name, so that errors speak of no other."""
    if not isinstance(given, dict):
        return given
    kind = given.get("kind", DEFAULT_AUGMENTATION.kind)
    AUGMENTATIONS.check(kind)
    return AUGMENTATIONS.load(kind).model_validate(given)


AnyAugmentation = Annotated[Drawing | Photo, BeforeValidator(_of_its_kind)]
