"""Which classes may a network learn from data sets beside its own?

Those that train there and neither validate nor test in any of the sets. A class is the same one in
two sets where its key is.
"""

from collections.abc import Iterable, Sequence

from cmpc_search.data.image_set import ImageSet

__all__ = ["further_classes"]

KEPT_OUT = ("validation", "test")


def further_classes(image_set: ImageSet, further: Sequence[ImageSet]) -> dict[str, str]:
    """Return the keys of the training classes that further sets show, each with a name.

    Classes of ``image_set`` are among them where further sets show those, too.
    """
    kept_out = {key for one in (image_set, *further) for key in _names(one, KEPT_OUT)}
    shown = {key: name for one in further for key, name in _names(one, ("train",)).items()}
    return {key: name for key, name in shown.items() if key not in kept_out}


def _names(image_set: ImageSet, splits: Iterable[str]) -> dict[str, str]:
    """Return the names of the classes that have images in any of some splits, by their keys."""
    labels = [label for one in splits for label in image_set.labels_in(image_set.select(split=one))]
    return {image_set.class_keys[label]: image_set.class_names[label] for label in labels}
