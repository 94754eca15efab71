"""Templates: all images and video frames that show one person on one occasion, judged as one.

A template's embedding is the mean over the rows of one medium (an image, or the frames of a video),
summed over its media, at unit length: what those who report on IJB-C (Maze et al., ICB 2018) do.
Rows are neither mirrored nor weighted by a detector's score, as some of them do besides.

    1:1   of each listed pair the first template is embedded by the queries' network, the second by
          the gallery's: the true accept rate at a false accept rate
    1:N   templates that ask are searched in each gallery: the true positive identification rate at
          a false positive identification rate, averaged over the galleries, and top-k over them all

Both sides hold all templates, since each may be either part of a pair.

Shapes: N rows, T templates, M media, P pairs, D values.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from cmpc_kernels import tar_at_far, tpir_at_fpir, verification_rates
from cmpc_search.errors import BadArgument
from cmpc_search.evaluation.base import (
    NO_GALLERY,
    LabelledRows,
    Protocol,
    ProtocolResult,
)
from cmpc_search.evaluation.pairs import common_labels, ignored_pairs, rank_queries
from cmpc_search.evaluation.verification import FALSE_ACCEPT_RATES

__all__ = ["FALSE_POSITIVE_RATES", "Templates", "joined"]

FALSE_POSITIVE_RATES = {"tpir_at_fpir_1e-1": 1e-1, "tpir_at_fpir_1e-2": 1e-2}
"""The false positive identification rate that each metric allows."""

PAIRS_AT_ONCE = 1 << 16

Ids = npt.NDArray[np.int64]
Rows = npt.NDArray[np.float32]


class Templates(Protocol):
    """Templates that ask, those of one or more galleries, and pairs of them."""

    def evaluate(self, queries: LabelledRows, gallery: LabelledRows) -> ProtocolResult:
        """Return TAR at each of `FALSE_ACCEPT_RATES`, TPIR at each FPIR, ``top1`` and ``top10``.

        Rows of no template stand for themselves: queries ask, gallery rows are one gallery.
        Where each query has its label in a gallery, nothing there can be a false positive, and the
        gallery has no TPIR; none is told where no gallery has one, or where pairs are ignored.

        Raises:
            BadArgument: no query has anything to find, or a pair names a template without rows.
        """
        queries, gallery = joined(queries), joined(gallery)
        asking, held = _asking(queries), _held(gallery)
        ranks = rank_queries(asking, held)
        top1, top10 = ranks.cmc([1, 10])
        metrics = {
            **_verified(queries, gallery),
            **_identified(asking, held),
            "top1": top1,
            "top10": top10,
        }
        return ProtocolResult(metrics=metrics, ranks=ranks)


def joined(rows: LabelledRows) -> LabelledRows:
    """Return one row for each template, ascending by its id; rows without templates as they are."""
    known = rows.templates
    if known is None:
        return rows
    order = np.lexsort((known.media_ids, known.template_ids))
    template_N, medium_N = known.template_ids[order], known.media_ids[order]
    begins_template_N = np.diff(template_N, prepend=template_N[0] - 1) != 0
    begins_medium_N = begins_template_N | (np.diff(medium_N, prepend=medium_N[0] - 1) != 0)
    first_M, first_T = np.flatnonzero(begins_medium_N), np.flatnonzero(begins_template_N)
    mean_MD = _means(rows.embeddings[order], first_M)
    sum_TD = np.add.reduceat(mean_MD, np.searchsorted(first_M, first_T))
    chosen_T = order[first_T]
    return LabelledRows(
        embeddings=_unit(sum_TD),
        labels=rows.labels[chosen_T],
        label_names=rows.label_names,
        templates=known.at(chosen_T),
    )


def _means(row_ND: Rows, first_M: Ids) -> Rows:
    num_rows_M = np.diff(first_M, append=len(row_ND))
    return (np.add.reduceat(row_ND, first_M) / num_rows_M[:, None]).astype(np.float32)


def _unit(row_ND: Rows) -> Rows:
    """Return rows of length one; one of zeros has no direction and stays, and then no score."""
    length_N1 = np.linalg.norm(row_ND, axis=1, keepdims=True)
    return (row_ND / np.where(length_N1 > 0, length_N1, 1)).astype(np.float32)


def _asking(queries: LabelledRows) -> LabelledRows:
    known = queries.templates
    return queries if known is None else _chosen(queries, known.galleries == NO_GALLERY)


def _held(gallery: LabelledRows) -> LabelledRows:
    known = gallery.templates
    return gallery if known is None else _chosen(gallery, known.galleries != NO_GALLERY)


def _chosen(rows: LabelledRows, is_wanted: npt.NDArray[np.bool_]) -> LabelledRows:
    """Return some of the rows, as items and groups that count in any case."""
    known = rows.templates
    return LabelledRows(
        embeddings=rows.embeddings[is_wanted],
        labels=rows.labels[is_wanted],
        label_names=rows.label_names,
        templates=None if known is None else known.at(is_wanted),
    )


def _verified(queries: LabelledRows, gallery: LabelledRows) -> dict[str, float]:
    """Return the true accept rates over the listed pairs, or over all."""
    known = queries.templates
    if known is not None and known.pairs is not None:
        scores, is_genuine = _listed_scores(queries, gallery, known.pairs)
        return {
            name: tar_at_far(scores, is_genuine, rate) for name, rate in FALSE_ACCEPT_RATES.items()
        }
    asking, held = _asking(queries), _held(gallery)
    rates = verification_rates(
        asking.embeddings,
        held.embeddings,
        *common_labels(asking, held),
        false_accept_rates=tuple(FALSE_ACCEPT_RATES.values()),
        ignored=ignored_pairs(asking, held),
    )
    found = zip(FALSE_ACCEPT_RATES, rates, strict=True)
    return {name: rate.true_accept_rate for name, rate in found}


def _listed_scores(
    queries: LabelledRows, gallery: LabelledRows, pairs: Ids
) -> tuple[Rows, npt.NDArray[np.bool_]]:
    """Return the cosine of each pair, float32 [P], and whether it is of one label."""
    first_P, second_P = _rows_of(queries, pairs[:, 0]), _rows_of(gallery, pairs[:, 1])
    score_P = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        asked, answered = queries.embeddings[first_P[part]], gallery.embeddings[second_P[part]]
        score_P[part] = np.einsum("pd,pd->p", asked, answered)
    query_labels, gallery_labels = common_labels(queries, gallery)
    return score_P, query_labels[first_P] == gallery_labels[second_P]


def _rows_of(side: LabelledRows, wanted: Ids) -> Ids:
    """Return where the templates with these ids are."""
    if side.templates is None:
        raise BadArgument("pairs of templates need templates on both sides, got one without")
    ids = side.templates.template_ids  # ascending, as `joined` leaves them
    rows = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    if (lacking := wanted[ids[rows] != wanted]).size:
        raise BadArgument(f"each template of a pair must have rows, template {lacking[0]} has none")
    return rows


def _identified(asking: LabelledRows, held: LabelledRows) -> dict[str, float]:
    """Return the mean over galleries of what each rate lets be identified."""
    if ignored_pairs(asking, held) is not None:
        return {}
    galleries = list(_galleries_with_strangers(asking, held))
    return {
        name: float(
            np.mean(
                [
                    tpir_at_fpir(
                        asking.embeddings,
                        one.embeddings,
                        *common_labels(asking, one),
                        false_positive_rate=rate,
                    )
                    for one in galleries
                ]
            )
        )
        for name, rate in FALSE_POSITIVE_RATES.items()
        if galleries
    }


def _galleries_with_strangers(asking: LabelledRows, held: LabelledRows) -> Iterator[LabelledRows]:
    """Yield each gallery that lacks the label of a query: it alone can answer wrongly."""
    known = held.templates
    numbers = np.zeros(len(held), np.int64) if known is None else known.galleries
    for number in np.unique(numbers):
        one = _chosen(held, numbers == number)
        query_labels, gallery_labels = common_labels(asking, one)
        is_mated = np.isin(query_labels, gallery_labels)
        if is_mated.any() and not is_mated.all():
            yield one
