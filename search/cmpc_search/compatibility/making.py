"""A compatibility method, or a sum of some, by name and settings, ready to follow a gallery.

make_method("bct+csd", bank, {"csd": {"weight": 2, "temperature": 0.05}})
"""

from collections.abc import Mapping

from pydantic import ValidationError

from cmpc_base.names import suggestion
from cmpc_search.compatibility.bank import GalleryBank
from cmpc_search.compatibility.base import Method, Need
from cmpc_search.compatibility.catalogue import METHODS, PLUS
from cmpc_search.compatibility.sums import Sum
from cmpc_search.errors import BadArgument
from cmpc_search.json_records import first_complaint

__all__ = ["MethodOptions", "make_method"]

MethodOptions = Mapping[str, Mapping[str, object]]
"""Settings by the name of a part and their own."""


def make_method(
    name: str,
    bank: GalleryBank,
    options: MethodOptions | None = None,
    *,
    views_per_item: int | None = None,
) -> Sum:
    """Return the sum of the methods in ``name``, "bct+csd", prepared to follow a gallery.

    A part that ``options`` don't name has the settings that it has by itself. ``views_per_item`` is
    how many views of an image its batches will hold; None where it is not trained with.

    Raises:
        UnknownName: no method is called so.
        BadArgument: a part comes twice or has no such settings, or the method needs what the
            gallery, its data or the batches don't have.
    """
    method = _new(name, options or {})
    if lacking := sorted(method.needs - _given(bank)):
        fitting = [one for one in METHODS if not _new(one, {}).needs - _given(bank)]
        raise BadArgument(
            f"method {name!r} must have {' and '.join(lacking)}, and this gallery with its data "
            f"has none; choose a method that does without: {', '.join(fitting)}"
        )
    if views_per_item is not None and views_per_item < method.fewest_views:
        raise BadArgument(
            f"method {name!r} compares views of one image, so views_per_item must be at least "
            f"{method.fewest_views} in each training that it is for, got {views_per_item}"
        )
    method.prepare(bank)
    return method


def _new(name: str, options: MethodOptions) -> Sum:
    names = name.split(PLUS)
    if len(set(names)) < len(names):
        raise BadArgument(f"method {name!r} must name each part once")
    parts = {one: _new_part(one, options.get(one, {})) for one in names}
    for one in options:
        if one not in parts:
            raise BadArgument(
                f"settings must be of a part of method {name!r}, got some of {one!r}; "
                f"{suggestion(one, names)}"
            )
    return Sum(parts)


def _new_part(name: str, settings: Mapping[str, object]) -> Method:
    method_class = METHODS.load(name)
    try:
        chosen = method_class.Settings.model_validate(settings)
    except ValidationError as error:
        known = ", ".join(method_class.Settings.model_fields)
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
