"""IJB-C: faces in images and video frames, joined to templates; it only tests.

B. Maze, J. Adams, J. A. Duncan, N. Kalka et al.: IARPA Janus Benchmark-C: Face Dataset and
Protocol, ICB 2018. Read in the layout in which those who report on it pass it on:

    meta/ijbc_face_tid_mid.txt            1.jpg 1 69544: picture, template, medium
    meta/ijbc_template_pair_label.txt     1 11065 1: two templates, and whether of one subject
    meta/ijbc_1N_gallery_G1.csv, _G2.csv  a head, then TEMPLATE_ID,SUBJECT_ID,...: the galleries
    meta/ijbc_1N_probe_mixed.csv          the same: the templates that ask
    loose_crop/1.jpg                      the pictures

Pictures are read as they are cropped there. Those who report on IJB-C turn and scale each face by
the landmarks in name_5pts_score to one place first, which is not done here: numbers of a network
that was trained on faces so aligned will be lower than published ones.
"""

import csv
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmpc_search.data.images import load_image
from cmpc_search.data.picture_file import read_file
from cmpc_search.data.sources.base import OwnCopySource, Picture, TemplateLists
from cmpc_search.data.sources.published import inner_folder, is_there, table_rows
from cmpc_search.errors import BadData

__all__ = ["IjbcSource"]

FACES = "ijbc_face_tid_mid.txt"
PAIRS = "ijbc_template_pair_label.txt"
GALLERIES = ("ijbc_1N_gallery_G1.csv", "ijbc_1N_gallery_G2.csv")
PROBES = "ijbc_1N_probe_mixed.csv"
ASKS = -1  # in place of the number of a gallery


class IjbcSource(OwnCopySource):
    """The folder that holds meta and loose_crop."""

    name = "ijbc"
    licences = ("research, as agreed with its publisher",)
    keeps_all = True

    def __init__(self, folder: Path) -> None:
        self.folder = inner_folder(folder, "IJBC")

    def version(self) -> str:
        lists = [self._list(name) for name in (FACES, PAIRS, *GALLERIES, PROBES)]
        return is_there([*lists, *(self._picture(face[0]) for face in self._faces)], self.folder)

    def pictures(self) -> Sequence[Picture]:
        return [
            Picture(
                item_name=name,
                class_name=f"subject {subject}",
                read=partial(load_image, self._picture(name)),
                role="query" if gallery == ASKS else "gallery",
                split="test",
            )
            for (name, _, _), (subject, gallery) in zip(self._faces, self._sides, strict=True)
        ]

    def templates(self) -> TemplateLists:
        """Return all of its lists.

        Raises:
            BadData: a pair's label is not what the lists say of its templates' subjects.
        """
        numbers = np.array([face[1:] for face in self._faces], np.int64)
        return TemplateLists(
            item_names=tuple(face[0] for face in self._faces),
            template_ids=numbers[:, 0],
            media_ids=numbers[:, 1],
            galleries=np.array([gallery for _, gallery in self._sides], np.int64),
            pairs=self._pairs(),
        )

    def _list(self, name: str) -> Path:
        return self.folder / "meta" / name

    def _picture(self, name: str) -> Path:
        return self.folder / "loose_crop" / name

    @cached_property
    def _faces(self) -> list[tuple[str, int, int]]:
        """Name, template and medium of each picture."""
        path = self._list(FACES)
        try:
            rows = table_rows(path, 3)
            return [(name, int(template), int(medium)) for name, template, medium in rows]
        except ValueError as error:
            raise BadData(f"templates and media in {path} must be numbers: {error}") from error

    @cached_property
    def _sides(self) -> list[tuple[int, int]]:
        """Subject and gallery of each picture."""
        of_template = dict(_subjects(self._list(PROBES), ASKS))
        for number, name in enumerate(GALLERIES):
            of_template |= dict(_subjects(self._list(name), number))
        lacking = [face for face in self._faces if face[1] not in of_template]
        if lacking:
            raise BadData(
                f"each template in {self._list(FACES)} must be in a gallery or ask, template "
                f"{lacking[0][1]} of {lacking[0][0]} is in no list of {self._list('')}"
            )
        return [of_template[template] for _, template, _ in self._faces]

    def _pairs(self) -> npt.NDArray[np.int64]:
        path = self._list(PAIRS)
        try:
            listed = np.loadtxt(path, dtype=np.int64, ndmin=2)
            pairs, is_genuine = listed[:, :2], listed[:, 2] == 1
        except (ValueError, IndexError, OSError) as error:
            raise BadData(f"{path} must have three numbers a line: {error}") from error
        subject_of = {
            template: subject
            for (_, template, _), (subject, _) in zip(self._faces, self._sides, strict=True)
        }
        known = np.vectorize(lambda template: subject_of.get(template, -1), otypes=[np.int64])
        ids, place = np.unique(pairs, return_inverse=True)
        subjects = known(ids)[place].reshape(pairs.shape)
        if (wrong := np.flatnonzero((subjects[:, 0] == subjects[:, 1]) != is_genuine)).size:
            raise BadData(
                f"line {wrong[0] + 1} of {path} must say whether its templates are of one subject, "
                f"and the lists say otherwise: {listed[wrong[0]].tolist()}"
            )
        return pairs


def _subjects(path: Path, gallery: int) -> list[tuple[int, tuple[int, int]]]:
    """Return template, and its subject and gallery, for each line of a list of 1:N."""
    if not path.is_file():
        raise BadData(f"{path} must be there, as it was published; get the data again")
    try:
        lines = read_file(path).decode("utf-8-sig").splitlines()[1:]
        return [(int(row[0]), (int(row[1]), gallery)) for row in csv.reader(lines) if row]
    except (ValueError, IndexError) as error:
        raise BadData(
            f"each line of {path} must begin with the numbers of a template and a subject: {error}"
        ) from error
