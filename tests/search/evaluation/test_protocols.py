"""Each protocol keeps the promise of its family, and gives the numbers that a hand works out."""

from dataclasses import replace

import numpy as np
import pytest

from cmpc_base.errors import UnknownName
from cmpc_search.errors import BadArgument
from cmpc_search.evaluation.catalogue import PROTOCOLS
from cmpc_search.evaluation.pairs import rank_queries
from cmpc_search.testing.protocols import ProtocolContract, labelled


class TestProtocols(ProtocolContract):
    @pytest.fixture(params=PROTOCOLS)
    def protocol(self, request):
        return PROTOCOLS.load(request.param)()


def directions(*degrees):
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_verification_accepts_the_genuine_pairs_above_the_impostors_that_may_pass():
    # The genuine pairs are 10, 55 and 30 degrees apart, the nearest impostors 50 degrees. Six
    # impostor pairs are so few that no rate lets one pass: those nearer than 50 degrees do.
    queries = labelled(directions(0, 105, 180), ["a", "b", "c"])
    gallery = labelled(directions(10, 50, 210), ["a", "b", "c"])

    found = PROTOCOLS.load("verification")().evaluate(queries, gallery)

    assert list(found.metrics.values()) == pytest.approx([2 / 3] * 3)
    assert found.ranks.best_ranks.tolist() == [1, 1, 1]


def test_each_rate_of_verification_lets_as_many_impostors_pass_as_its_name_says():
    rng = np.random.default_rng(0)
    labels = [f"label {number}" for number in range(100)]
    centres = rng.normal(size=(100, 16))
    queries = labelled(unit(centres + rng.normal(size=(100, 16))), labels)
    items = np.concatenate([centres, centres])
    gallery = labelled(unit(items + rng.normal(size=(200, 16))), 2 * labels)

    found = PROTOCOLS.load("verification")().evaluate(queries, gallery)

    scores = queries.embeddings @ gallery.embeddings.T
    is_genuine = queries.labels[:, None] == gallery.labels
    impostors = np.sort(scores[~is_genuine])[::-1]
    allowed = {"tar_at_far_1e-2": 198, "tar_at_far_1e-3": 19, "tar_at_far_1e-4": 1}  # of 19 800
    assert found.metrics == {
        name: pytest.approx((scores[is_genuine] > impostors[number]).mean())
        for name, number in allowed.items()
    }
    assert len(set(found.metrics.values())) == 3


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_open_set_gives_the_numbers_of_a_ranking_that_one_can_write_down():
    # "a" finds its item second, behind one of "b"; "b" finds its own first and third.
    queries = labelled(directions(0, 15), ["a", "b"])
    gallery = labelled(directions(30, 10, 90), ["a", "b", "b"])

    found = PROTOCOLS.load("open-set")().evaluate(queries, gallery)

    assert found.metrics == {"top1": 0.5, "top10": 1.0, "map": pytest.approx((1 / 2 + 5 / 6) / 2)}
    assert found.ranks.best_ranks.tolist() == [2, 1]


def test_an_item_is_no_answer_to_itself():
    shown = labelled(directions(0, 30, 10), ["a", "a", "b"])
    side = replace(shown, item_ids=("1", "2", "3"))

    assert rank_queries(shown, shown).best_ranks.tolist() == [1, 1, 1]
    assert rank_queries(side, side).best_ranks.tolist() == [2, 2]  # "b" has nothing to find


def test_the_item_that_asks_is_known_by_its_name_wherever_it_stands_in_the_gallery():
    queries = replace(labelled(directions(0), ["a"]), item_ids=("3",))
    gallery = labelled(directions(10, 0, 20), ["b", "a", "a"])

    ranks = rank_queries(queries, replace(gallery, item_ids=("1", "3", "2")))

    assert ranks.best_ranks.tolist() == [2]


def test_items_of_a_querys_label_and_group_do_not_count_and_others_of_its_group_do():
    queries = replace(labelled(directions(0), ["a"]), groups=("camera 1",))
    gallery = replace(
        labelled(directions(1, 5, 40), ["a", "b", "a"]),
        groups=("camera 1", "camera 1", "camera 2"),
    )

    ranks = rank_queries(queries, gallery)

    assert ranks.best_ranks.tolist() == [2]
    assert ranks.average_precisions.tolist() == [0.5]


@pytest.mark.parametrize("name", ["item_ids", "groups"])
def test_what_only_one_side_tells_is_refused(name):
    side = labelled(directions(0, 10), ["a", "b"])

    with pytest.raises(BadArgument, match=f"{name} must be given for queries and gallery"):
        rank_queries(replace(side, **{name: ("1", "2")}), side)


def test_an_unknown_protocol_is_told_the_known_ones():
    with pytest.raises(UnknownName, match=r"choose one of .*open-set.*mean 'open-set'"):
        PROTOCOLS.load("open_set")
