"""Were the classes that a run is tested on seen before, by its own networks or by the gallery's?

A number on unseen classes and one on classes of a closed set are different claims, so whoever
prints an accuracy says which one it is.
"""

from cmpc_search.data import ImageSet, class_finder
from cmpc_search.errors import BadGallery
from cmpc_search.gallery import Gallery, read_classifier
from cmpc_search.gallery.classes import KnownClass, classes_in, read_classes
from cmpc_search.gallery.folder import CLASSIFIER_FILE
from cmpc_search.runs.evaluation import SeenClasses

__all__ = ["check_seen_classes", "classes_seen_elsewhere"]


def check_seen_classes(gallery: Gallery, image_set: ImageSet) -> SeenClasses:
    """Say what the networks know of the classes that validate and test.

    Raises:
        BadGallery: cmpc trained the gallery network on some of them, maybe in another data set.
    """
    if not image_set.is_open_set:
        return SeenClasses.CLOSED_SET
    held_out = [one for one in classes_in(image_set) if "train" not in one.splits]
    known = read_classes(gallery.path, network_sha256=gallery.network_sha256)
    if known is None:
        if gallery.record.training is not None:
            raise BadGallery(
                f"{gallery.path} must say which classes its network was trained on, and the file "
                "is gone or of another network; train the gallery again"
            )
        return _seen_by_own_network(gallery, held_out)
    if seen := _common(held_out, [one for one in known if "train" in one.splits]):
        raise BadGallery(
            f"the network of {gallery.path} must not have been trained on classes that validate or "
            f"test, but was on {len(seen)} of {len(held_out)}, the first is {seen[0].name!r} "
            f"({seen[0].splits[0]} in {image_set.name}); train a gallery on {image_set.name} "
            "with `cmpc gallery train`"
        )
    return SeenClasses.UNSEEN


def classes_seen_elsewhere(
    gallery: Gallery, trained_on: ImageSet, judged_on: ImageSet
) -> tuple[SeenClasses, list[KnownClass]]:
    """Say what the networks know of the test classes of data that they were not trained on.

    Args:
        trained_on: The data of the run: its query networks learnt their training classes.

    Returns:
        What is known, and the test classes of ``judged_on`` that were trained on, as far as known.
    """
    tested = [one for one in classes_in(judged_on) if "test" in one.splits]
    known = read_classes(gallery.path, network_sha256=gallery.network_sha256)
    learnt = [one for one in [*classes_in(trained_on), *(known or ())] if "train" in one.splits]
    if seen := _common(tested, learnt):
        return SeenClasses.SEEN_ELSEWHERE, seen
    return (SeenClasses.UNSEEN if known else _seen_by_own_network(gallery, tested)), []


def _common(some: list[KnownClass], others: list[KnownClass]) -> list[KnownClass]:
    """Return those of ``some`` that are among ``others``."""
    is_known = class_finder((other.key, other.name) for other in others)
    return [one for one in some if is_known(one.key, one.name)]


def _seen_by_own_network(gallery: Gallery, held_out: list[KnownClass]) -> SeenClasses:
    path = gallery.path / CLASSIFIER_FILE
    named = read_classifier(path) if path.exists() else {}
    is_seen = any(one.name in named for one in held_out)
    return SeenClasses.SEEN_BY_GALLERY if is_seen else SeenClasses.UNKNOWN
