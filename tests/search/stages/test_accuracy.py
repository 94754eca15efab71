"""M(q, q) and M(q, g) are what they are called, on the split that was asked for."""

import pytest
from known_set import (
    FOUND,
    NUM_LONE_QUERIES,
    NUM_QUERIES,
    RedNetwork,
    make_known_set,
    mean_average_precision,
    top1,
    top10,
)

from cmpc_search.stages.accuracy import accuracy_of, evaluate_both_ways


@pytest.mark.parametrize("split", FOUND)
def test_each_side_of_each_split_has_its_own_accuracy(split):
    image_set, gallery_rows = make_known_set()

    both = evaluate_both_ways(RedNetwork(), image_set, split, gallery_rows)

    homogeneous, heterogeneous = accuracy_of(both.homogeneous), accuracy_of(both.heterogeneous)
    assert homogeneous.top1 == pytest.approx(top1(FOUND[split].own))
    assert heterogeneous.top1 == pytest.approx(top1(FOUND[split].across))
    assert homogeneous.top10 == heterogeneous.top10 == pytest.approx(top10(FOUND[split].own))
    for accuracy, found in ((homogeneous, FOUND[split].own), (heterogeneous, FOUND[split].across)):
        assert accuracy.mean_average_precision == pytest.approx(mean_average_precision(found))


def test_queries_with_nothing_to_find_are_counted_and_not_scored():
    both = evaluate_both_ways(RedNetwork(), *_test_split())

    accuracy = accuracy_of(both.heterogeneous)

    assert (accuracy.num_queries, accuracy.num_excluded) == (NUM_QUERIES, NUM_LONE_QUERIES)


def _test_split():
    image_set, gallery_rows = make_known_set()
    return image_set, "test", gallery_rows
