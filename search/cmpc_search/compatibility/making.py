"""A compatibility method by its name, with settings of its own, ready to follow a gallery."""

from collections.abc import Mapping

from pydantic import ValidationError

from cmpc_search.compatibility.bank import GalleryBank
from cmpc_search.compatibility.base import Method, Need
from cmpc_search.compatibility.catalogue import METHODS
from cmpc_search.errors import BadArgument
from cmpc_search.json_records import first_complaint

__all__ = ["make_method"]


def make_method(
    name: str, bank: GalleryBank, settings: Mapping[str, object] | None = None
) -> Method:
    """Return the method ``name`` with settings of its own, prepared to follow a gallery.

    Raises:
        UnknownName: no method is called ``name``.
        BadArgument: it has no such settings, or needs what the gallery or its data don't have.
    """
    method = _new(name, settings or {})
    if lacking := sorted(method.needs - _given(bank)):
        fitting = [one for one in METHODS if not _new(one, {}).needs - _given(bank)]
        raise BadArgument(
            f"method {name!r} must have {' and '.join(lacking)}, and this gallery with its data "
            f"has none; choose a method that does without: {', '.join(fitting)}"
        )
    method.prepare(bank)
    return method


def _new(name: str, settings: Mapping[str, object]) -> Method:
    method_class = METHODS.load(name)
    try:
        chosen = method_class.Settings.model_validate(settings)
    except ValidationError as error:
        known = ", ".join(method_class.Settings.model_fields) or "none"
        raise BadArgument(
            f"method {name!r} must have settings that it knows ({known}), {first_complaint(error)}"
        ) from error
    return method_class(chosen)


def _given(bank: GalleryBank) -> set[Need]:
    """Return what can be had of a gallery and its data."""
    given = {Need.GALLERY_EMBEDDINGS}
    if bank.labels is not None:
        given.add(Need.LABELS)
    if bank.has_class_directions:
        given.add(Need.CLASSIFIER)
    return given
