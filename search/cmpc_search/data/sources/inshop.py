"""DeepFashion In-Shop: 52,712 photographs of 7,982 garments in a shop.

Z. Liu, P. Luo, S. Qiu, X. Wang, X. Tang: DeepFashion: Powering Robust Clothes Recognition and
Retrieval with Rich Annotations, CVPR 2016. Read as it was published:

    Eval/list_eval_partition.txt  52712
                                  image_name item_id evaluation_status
                                  img/WOMEN/Dresses/id_00000002/02_1_front.jpg id_00000002 train
    img/                          the pictures

Garments whose status is query or gallery test, and their pictures ask and answer as published. The
pictures are taken whole: nobody reports this benchmark on boxes.
"""

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path

from cmpc_base.hashing import document_hash
from cmpc_search.data.images import load_image
from cmpc_search.data.sources.base import OwnCopySource, Picture
from cmpc_search.data.sources.published import Listed, is_there, pictures_of, table_rows
from cmpc_search.errors import BadData

__all__ = ["InShopSource"]

STATUSES = ("train", "query", "gallery")


class InShopSource(OwnCopySource):
    """The folder that holds Eval and img."""

    name = "inshop"
    licences = ("non-commercial research, as agreed with its authors",)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def version(self) -> str:
        files = [self.folder / path for path, *_ in self._listed]
        return f"{document_hash(self._listed)} {is_there(files, self.folder)}"

    def pictures(self) -> Sequence[Picture]:
        return pictures_of(
            [
                Listed(
                    item_name=path,
                    class_name=garment,
                    read=partial(load_image, self.folder / path),
                    is_test=status != "train",
                    role=None if status == "train" else status,
                )
                for path, garment, status in self._listed
            ]
        )

    @cached_property
    def _listed(self) -> list[tuple[str, str, str]]:
        """Path, garment and status of each picture."""
        path = self.folder / "Eval" / "list_eval_partition.txt"
        listed = [
            (name, garment, status) for name, garment, status in table_rows(path, 3, num_skipped=2)
        ]
        for name, _, status in listed:
            if status not in STATUSES:
                raise BadData(
                    f"the status of {name} in {path} must be one of {', '.join(STATUSES)}, "
                    f"got {status!r}"
                )
        return listed
