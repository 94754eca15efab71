"""Stanford Online Products: 120,053 photographs of 22,634 products that were sold online.

H. O. Song, Y. Xiang, S. Jegelka, S. Savarese: Deep Metric Learning via Lifted Structured Feature
Embedding, CVPR 2016. Read as it was published:

    Ebay_train.txt, Ebay_test.txt  image_id class_id super_class_id path
                                   1 1 1 bicycle_final/111085122871_0.JPG

Classes of the second list test. Every picture that tests asks for all others of its class.
"""

from collections.abc import Iterator, Sequence
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

__all__ = ["SopSource"]


class SopSource(OwnCopySource):
    """The unpacked archive Stanford_Online_Products."""

    name = "sop"
    licences = ("research only; images from eBay, of their owners",)

    def __init__(self, folder: Path) -> None:
        self.folder = inner_folder(folder, "Stanford_Online_Products")

    def version(self) -> str:
        files = [self.folder / path for path, *_ in self._listed]
        return f"{document_hash(self._listed)} {is_there(files, self.folder)}"

    def pictures(self) -> Sequence[Picture]:
        return pictures_of(
            [
                Listed(
                    item_name=path,
                    class_name=f"product {product}",
                    read=partial(load_image, self.folder / path),
                    is_test=is_test,
                )
                for path, product, is_test in self._listed
            ]
        )

    @cached_property
    def _listed(self) -> list[tuple[str, str, bool]]:
        return [*self._of_list("Ebay_train.txt"), *self._of_list("Ebay_test.txt", is_test=True)]

    def _of_list(self, name: str, *, is_test: bool = False) -> Iterator[tuple[str, str, bool]]:
        """Yield path and product of each picture, and whether it tests."""
        for _, product, _, path in table_rows(self.folder / name, 4, num_skipped=1):
            yield path, product, is_test
