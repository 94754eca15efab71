"""What a data set's origin must tell us before its images can be prepared.

A source lists pictures and says what it knows of each; what it leaves open (None) is decided from
the seed when the set is loaded, so that another seed costs no second preparation. Reading one
picture is a function of the size: an SVG is drawn at it, a photograph is shrunk to it.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cmpc_search.data.passed_over import PassedOver

__all__ = ["OwnCopySource", "PathSource", "Picture", "ReadPicture", "Source", "TemplateLists"]


class ReadPicture(Protocol):
    """Reads one picture; `load_image` says what the share means."""

    def __call__(
        self, size_px: int, crop_share: float | None = None, /
    ) -> npt.NDArray[np.uint8]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """One picture of a source, not read yet."""

    item_name: str
    class_name: str | None
    """None where nobody knows: it is trained on wherever no class is needed, and never tested."""
    read: ReadPicture
    """From the size in pixels to [S, S, 3]; raises BadData if the picture is broken."""
    role: str | None = None
    split: str | None = None
    """Of a picture without a class: train, or None like the others'."""
    class_key: str | None = None
    """What makes the class the same one in another data set, such as code points; None: its name.

    It decides whether the class is a test class, so it must not change with a library's version.
    """
    styles: tuple[ReadPicture, ...] = ()
    """Read the same picture drawn in other styles, to train on: as many for all that have any, in
    the same order. A picture without stands for itself in each."""
    copy_of: str | None = None
    """Of a query that stands in the gallery too, the name of the item there: it is no repetition.
    Both must be of one group, or the query would find itself."""
    group: str | None = None
    """Where it comes from, such as a camera or a session: items of a query's own class and group
    are too easy, and no answer to it. None: all count."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TemplateLists:
    """Which pictures make one template, which galleries hold it, and which pairs are compared.

    Attributes:
        item_names: [N], and of each picture:
        template_ids, media_ids, galleries: int64 [N]; the gallery is -1 where the template asks.
        pairs: int64 [P, 2], template ids.
    """

    item_names: tuple[str, ...]
    template_ids: npt.NDArray[np.int64]
    media_ids: npt.NDArray[np.int64]
    galleries: npt.NDArray[np.int64]
    pairs: npt.NDArray[np.int64]

    def of(self, item_names: Sequence[str]) -> "TemplateLists":
        """Return what is said of these pictures, in their order."""
        position_of = {name: position for position, name in enumerate(self.item_names)}
        chosen = np.array([position_of[name] for name in item_names], np.int64)
        return TemplateLists(
            item_names=tuple(item_names),
            template_ids=self.template_ids[chosen],
            media_ids=self.media_ids[chosen],
            galleries=self.galleries[chosen],
            pairs=self.pairs,
        )


class Source(ABC):
    """Where pictures come from: ``version`` at each load, ``pictures`` only to prepare them."""

    name: str
    licences: tuple[str, ...]
    revision: int = 1
    """Raised when the code lists other pictures than before: old preparations are not used then."""

    has_distractors: bool = False
    """Whether gallery pictures stay whose class nobody asks for: others must be told from them."""

    keeps_all: bool = False
    """Whether equal pictures stay, and lone ones: where a protocol lists which are compared."""

    has_styles: bool = False
    """Whether any of its pictures can be drawn in other styles."""

    @abstractmethod
    def version(self) -> str:
        """Return text that changes whenever the pictures may have; cheap, since each load asks."""

    @abstractmethod
    def pictures(self) -> Sequence[Picture]:
        """Return every picture in a fixed order, fetching first what has to be fetched.

        Roles are known of all pictures or of none, and splits and groups likewise.
        """

    def passed_over(self) -> Sequence[PassedOver]:
        """Return what lies where the pictures are and is not taken as one, counted by kind."""
        return ()

    def templates(self) -> TemplateLists | None:
        """Return which pictures make one template; None where each stands for itself."""
        return None


class PathSource(Source):
    """The user's own pictures, told by the path of a folder or a file."""

    licences = ("the user's own images",)

    @classmethod
    @abstractmethod
    def takes(cls, path: Path) -> bool:
        """Whether what lies at ``path`` is of this kind, as far as a look from outside tells."""

    @abstractmethod
    def __init__(self, path: Path) -> None:
        """Refer to ``path``; nothing is read yet."""


class OwnCopySource(Source):
    """Published data with a name of their own, of which each user has got a copy for themselves.

    Where that is, is remembered by ``own_copies``.
    """

    @abstractmethod
    def __init__(self, folder: Path) -> None:
        """Refer to the copy; nothing is read yet."""
