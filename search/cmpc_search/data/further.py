"""Which classes may a network learn from data sets beside its own?

Those that train there and neither validate nor test in any of the sets.
"""

from collections.abc import Callable, Iterable, Sequence

from cmpc_search.data.image_set import ImageSet

__all__ = ["class_finder", "further_classes"]

KEPT_OUT = ("validation", "test")


def further_classes(image_set: ImageSet, further: Sequence[ImageSet]) -> dict[str, str]:
    """Return the keys of the training classes that further sets show, each with a name.

    Classes of ``image_set`` are among them where further sets show those, too.
    """
    everywhere = (image_set, *further)
    is_kept_out = class_finder(pair for one in everywhere for pair in _names(one, KEPT_OUT).items())
    shown = {key: name for one in further for key, name in _names(one, ("train",)).items()}
    return {key: name for key, name in shown.items() if not is_kept_out(key, name)}


def class_finder(classes: Iterable[tuple[str, str]]) -> Callable[[str, str], bool]:
    """Return what tells by its key and name whether a class is one of these, each a key and a name.

    By keys; by names where one of the two has no key but its name. "Grinning face with smiling
    eyes" is another emoji to Unicode than to CLDR: keys know better.
    """
    known = set(classes)
    keys, names = ({one[place] for one in known} for place in (0, 1))
    names_without_key = {name for key, name in known if key == name}

    def is_found(key: str, name: str) -> bool:
        return key in keys or name in (names if key == name else names_without_key)

    return is_found


def _names(image_set: ImageSet, splits: Iterable[str]) -> dict[str, str]:
    """Return the names of the classes that have images in any of some splits, by their keys."""
    labels = [label for one in splits for label in image_set.labels_in(image_set.select(split=one))]
    return {image_set.class_keys[label]: image_set.class_names[label] for label in labels}
