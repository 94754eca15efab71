"""Templates are joined and judged as a hand works it out."""

from dataclasses import replace

import numpy as np
import pytest

from cmpc_search.errors import BadArgument
from cmpc_search.evaluation.base import NO_GALLERY, TemplateRows
from cmpc_search.evaluation.templates import Templates, joined
from cmpc_search.testing.protocols import labelled


def directions(*degrees):
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def templates(ids, galleries=None, *, media=None, pairs=None):
    return TemplateRows(
        template_ids=np.array(ids),
        media_ids=np.arange(len(ids)) if media is None else np.array(media),
        galleries=np.array(galleries or [NO_GALLERY] * len(ids)),
        pairs=None if pairs is None else np.array(pairs),
    )


def test_a_template_is_the_sum_of_its_media_and_a_medium_the_mean_of_its_frames():
    # Template 7: the frames (2, 0) and (0, 2) of video 9, and image 4, (2, 0): (1, 1) + (2, 0).
    # Template 3 has image 4 as well, and only that. Its rows lie between those of the other.
    rows = labelled([[2, 0], [0, 5], [0, 2], [2, 0]], ["b", "a", "b", "b"])
    known = templates([7, 3, 7, 7], [0, 1, 0, 0], media=[9, 4, 9, 4])

    found = joined(replace(rows, templates=known))

    np.testing.assert_allclose(found.embeddings, [[0, 1], [3 / 10**0.5, 1 / 10**0.5]], rtol=1e-6)
    assert [found.label_names[label] for label in found.labels] == ["a", "b"]
    assert found.templates.template_ids.tolist() == [3, 7]
    assert found.templates.galleries.tolist() == [1, 0]


PEOPLE = ["ann", "ann", "bob", "bob"]
IDS = [1, 2, 3, 4]  # 1 and 3 are in the gallery, 2 and 4 ask
HELD = [0, NO_GALLERY, 0, NO_GALLERY]
PAIRS = [[1, 2], [3, 4], [1, 4], [3, 2]]


def sides(query_degrees, gallery_degrees, pairs=PAIRS):
    known = templates(IDS, HELD, pairs=pairs)
    return tuple(
        replace(labelled(directions(*degrees), PEOPLE), templates=known)
        for degrees in (query_degrees, gallery_degrees)
    )


def test_the_first_template_of_a_pair_is_the_query_networks_and_the_second_the_gallerys():
    # Of the queries 1 and 3 are compared, of the gallery 2 and 4. The genuine pairs are 10 and 55
    # degrees apart, the impostors 45 and 90. The other way about, all genuine ones are 80 apart and
    # all impostors 20.
    queries, gallery = sides((0, 80, 100, 20), (0, 10, 100, 45))

    assert tar(queries, gallery) == 1 / 2
    assert tar(gallery, queries) == 0


def tar(queries, gallery):
    return Templates().evaluate(queries, gallery).metrics["tar_at_far_1e-4"]


@pytest.mark.parametrize(
    ("cid", "tpir", "ranks"), [(160, 3 / 4, [1, 2, 1]), (97, 1 / 2, [1, 2, 2])]
)
def test_templates_that_ask_are_searched_in_each_gallery_and_the_rates_averaged(cid, tpir, ranks):
    # Gallery 0 holds ann and bob, gallery 1 cid, who is 20 or 83 degrees off; the others are 160
    # and more off there, so he is identified. In gallery 0 bob is nearest to ann, and so is ann, 10
    # degrees off: she is identified unless cid, the stranger there, is nearer to somebody.
    people = ["ann", "bob", "cid"]
    known = templates(range(6), [0, 0, 1, *[NO_GALLERY] * 3])
    rows = labelled(directions(0, 90, 180, 10, 20, cid), 2 * people)
    rows = replace(rows, templates=known)

    found = Templates().evaluate(rows, rows)

    assert found.metrics["tpir_at_fpir_1e-1"] == tpir
    assert found.ranks.best_ranks.tolist() == ranks
    assert found.metrics["top1"] == ranks.count(1) / 3


def test_where_all_that_ask_are_in_the_gallery_there_is_no_false_positive_to_allow_for():
    found = Templates().evaluate(*sides((0, 1, 90, 91), (0, 1, 90, 91)))

    assert sorted(found.metrics) == [
        "tar_at_far_1e-2",
        "tar_at_far_1e-3",
        "tar_at_far_1e-4",
        "top1",
        "top10",
    ]


def test_a_pair_of_a_template_that_is_not_there_is_refused():
    with pytest.raises(BadArgument, match="template 9 has none"):
        Templates().evaluate(*sides((0, 1, 90, 91), (0, 1, 90, 91), pairs=[[1, 2], [1, 9]]))


def test_what_is_said_of_templates_must_be_said_of_each_row():
    with pytest.raises(BadArgument, match="must be as many, got 2, 1 and 2"):
        templates([1, 2], media=[1])
    with pytest.raises(BadArgument, match="templates must be as many as the 1 rows, got 2"):
        replace(labelled(directions(0), ["ann"]), templates=templates([1, 2]))
