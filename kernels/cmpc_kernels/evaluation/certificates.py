"""Check that an answer is the exact one: by the files and the definition, without codes or kernels.

``certifying.py`` makes a certificate of what a search found. For each query it tells the answer,
how many items had to be scored, and a bound that the score of no other item exceeds. Whoever has
the index can check that later: the files are known by their hashes, and ``verify`` scores all their
rows in plain NumPy (``reference.py``). That takes some hundred times as long as the search did.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmpc_base.json_files import known_fields, read_json, write_json
from cmpc_kernels import reference
from cmpc_kernels.checks import check_count
from cmpc_kernels.errors import BadArgument, BadCertificate
from cmpc_kernels.gallery.index import GalleryIndex
from cmpc_kernels.gallery.shards import ShardedIndex, open_index

__all__ = ["Certificate", "CertifiedAnswer", "Ranking", "files_of", "pieces_of"]

FORMAT, VERSION = "cmpc search certificate", 1
ADVICE = "give a file that `certify` or `cmpc query --certificate` made"
PIECE_VALUES = 1 << 20  # of rows in float64 that are compared at a time

Ids = npt.NDArray[np.int64]
Rows = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class CertifiedAnswer:
    """What one query finds, and why nothing else is nearer.

    Scores are float64 and larger for nearer items: of "l2" squared distances with a minus.

    Attributes:
        query: The query's values.
        ids: At most k items, best first, of equal scores the lower id.
        scores: Theirs.
        num_scored: Items whose bounds reach the last of these scores, which had to be scored.
        highest_bound: No other item has a higher score; None where there is no other item.
    """

    query: list[float]
    ids: list[int]
    scores: list[float]
    num_scored: int
    highest_bound: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """The exact answers of one search, and why they are exact; made by ``certify``.

    Attributes:
        header_sha256s: The files of the index in their order, each by the SHA-256 of its header,
            which holds those of all its sections.
        metric: "ip", "cosine" or "l2".
        k: How many neighbours were asked for.
        allowed_ids: Only these could be found; None: all.
        answers: One for each query.
    """

    header_sha256s: list[str]
    metric: str
    k: int
    allowed_ids: list[int] | None
    answers: list[CertifiedAnswer]

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all; its numbers keep every bit."""
        write_json(path, {"format": FORMAT, "version": VERSION, **asdict(self)})

    @classmethod
    def load(cls, path: Path) -> "Certificate":
        """Read what ``save`` wrote.

        Raises:
            BadCertificate: the file holds something else.
        """
        document = read_json(path, error=BadCertificate, advice=ADVICE)
        told = document.pop("format", None), document.pop("version", None)
        if told != (FORMAT, VERSION):
            raise BadCertificate(f"{path} must be a {FORMAT} of version {VERSION}; {ADVICE}")
        try:
            known = known_fields(cls, document)
            answers = [
                CertifiedAnswer(**known_fields(CertifiedAnswer, one)) for one in known["answers"]
            ]
            certificate = cls(**known | {"k": check_count(known["k"]), "answers": answers})
            certificate.query_QD()
        except (BadArgument, TypeError, ValueError) as error:
            raise BadCertificate(f"{path} must be a {FORMAT}: {error}; {ADVICE}") from error
        return certificate

    def query_QD(self) -> npt.NDArray[np.float32]:
        """Return the queries of all answers, float32 [Q, D]."""
        return np.array([answer.query for answer in self.answers], np.float32)

    def verify(self, path: Path) -> None:
        """Read an index whole and score every row by the definition: are these its answers?

        ``num_scored`` and ``highest_bound`` come of codes, which are not read here; they must fit
        the scores.

        Raises:
            BadArgument: the index is not the one that was asked, or was changed since.
            BadCertificate: an answer is not the exact one, or a score is above its bound.
            BadIndexFile: a file of the index is not what was written.
        """
        index = open_index(path, verify=True)
        if [file.header_sha256 for file in index.stored_files] != self.header_sha256s:
            raise BadArgument(
                f"a certificate must be checked with the very index that was asked, {path} is "
                f"another or was changed since; search it again"
            )
        rankings = [Ranking(self.k, answer.highest_bound) for answer in self.answers]
        for file in files_of(index):
            row_GD = file.rows
            if row_GD is None:
                raise BadCertificate(f"{path} keeps codes alone, of which nothing can be certified")
            for place_N, id_N in pieces_of(file, self.allowed_ids):
                for answer, ranking in zip(self.answers, rankings, strict=True):
                    ranking.compare(answer.query, row_GD[place_N], id_N, self.metric)
        for number, (answer, ranking) in enumerate(zip(self.answers, rankings, strict=True)):
            if not ranking.is_answer(answer):
                raise BadCertificate(
                    f"a certificate must have the exact answer to query {number}, which is "
                    f"{ranking.ids.tolist()}, got {answer.ids}; search again and certify that"
                )
            if not ranking.fits_bound(answer):
                raise BadCertificate(
                    f"the bound in a certificate must hold for all items that were not scored, "
                    f"that of query {number} does not; search again and certify that"
                )


class Ranking:
    """The ``num_kept`` best of all rows that one query was compared with, by the definition."""

    def __init__(self, num_kept: int, bound: float | None) -> None:
        self._num_kept, self._bound = num_kept, np.inf if bound is None else bound
        self.scores, self.ids = np.empty(0), np.empty(0, np.int64)
        self.num_compared = self.num_above = 0

    def compare(self, query: Sequence[float], row_ND: Rows, id_N: Ids, metric: str) -> None:
        """Take in rows [N, D] and their ids, which are higher than those before."""
        score_N = reference.score_matrix(np.array([query], np.float32), row_ND, metric)[0]
        self.num_compared += len(id_N)
        self.num_above += int(np.count_nonzero(score_N > self._bound))
        scores, ids = np.append(self.scores, score_N), np.append(self.ids, id_N)
        best = np.argsort(-scores, kind="stable")[: self._num_kept]
        self.scores, self.ids = scores[best], ids[best]

    def is_answer(self, answer: CertifiedAnswer) -> bool:
        """Say whether these are an answer's items and scores."""
        return answer.ids == self.ids.tolist() and answer.scores == self.scores.tolist()

    def fits_bound(self, answer: CertifiedAnswer) -> bool:
        """Say whether no more items than were scored are above the bound of the others."""
        if answer.highest_bound is None:
            return answer.num_scored == self.num_compared
        is_below = len(self.scores) == self._num_kept and answer.highest_bound < self.scores[-1]
        return is_below and self.num_above <= answer.num_scored < self.num_compared


def files_of(index: GalleryIndex | ShardedIndex) -> Sequence[GalleryIndex]:
    """Return the index of each file, ids ascending."""
    return index.shards if isinstance(index, ShardedIndex) else (index,)


def pieces_of(
    file: GalleryIndex, allowed_ids: list[int] | None
) -> Iterator[tuple[npt.NDArray[np.int64], Ids]]:
    """Yield (places, ids) of items that may be found, of so many as are compared at a time.

    Places are those in ``file.rows`` and ``file.codes``.
    """
    id_G, step = file.ids, max(1, PIECE_VALUES // file.dimension)
    for first in range(0, len(id_G), step):
        id_N = id_G[first : first + step]
        is_allowed_N = np.ones(len(id_N), np.bool_)
        if allowed_ids is not None:
            is_allowed_N = np.isin(id_N, allowed_ids)
        yield first + np.flatnonzero(is_allowed_N), id_N[is_allowed_N]
