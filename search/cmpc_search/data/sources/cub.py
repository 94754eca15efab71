"""CUB-200-2011: birds of 200 species, split by species as metric learning does.

C. Wah, S. Branson, P. Welinder, P. Perona, S. Belongie: The Caltech-UCSD Birds-200-2011 Dataset,
Technical Report CNS-TR-2011-001, Caltech 2011. Read as it was published:

    images.txt              1 001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg
    image_class_labels.txt  1 1: image, class
    images/                 the pictures

The first 100 classes are trained on and the others test (Song et al., Deep Metric Learning via
Lifted Structured Feature Embedding, CVPR 2016, section 6.1); the published split by images is not
used. Every picture that tests asks for all others of its class.
"""

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path

from cmpc_base.hashing import document_hash
from cmpc_search.data.images import load_image
from cmpc_search.data.sources.base import OwnCopySource, Picture
from cmpc_search.data.sources.published import (
    Listed,
    inner_folder,
    is_there,
    pictures_of,
    table_rows,
)
from cmpc_search.errors import BadData

__all__ = ["CubSource"]

NUM_TRAINING_CLASSES = 100


class CubSource(OwnCopySource):
    """The unpacked archive CUB_200_2011."""

    name = "cub"
    licences = ("non-commercial research and education; images from Flickr, of their owners",)

    def __init__(self, folder: Path) -> None:
        self.folder = inner_folder(folder, "CUB_200_2011")

    def version(self) -> str:
        files = [self.folder / "images" / path for path, _ in self._listed]
        return f"{document_hash(self._listed)} {is_there(files, self.folder)}"

    def pictures(self) -> Sequence[Picture]:
        return pictures_of(
            [
                Listed(
                    item_name=path,
                    class_name=path.split("/")[0],
                    read=partial(load_image, self.folder / "images" / path),
                    is_test=number > NUM_TRAINING_CLASSES,
                )
                for path, number in self._listed
            ]
        )

    @cached_property
    def _listed(self) -> list[tuple[str, int]]:
        """Path and class number of each picture."""
        labels = self.folder / "image_class_labels.txt"
        classes = dict(table_rows(labels, 2))
        listed = list(table_rows(self.folder / "images.txt", 2))
        for image, path in listed:
            if not classes.get(image, "").isdigit():
                raise BadData(f"{labels} must have a class number for image {image}, {path}")
        return [(path, int(classes[image])) for image, path in listed]
