"""M(q, q) and M(q, g) are what they are called, on the split that was asked for."""

import pytest
from known_set import FOUND, RedNetwork, make_known_set, mean_average_precision, top1, top10

from cmpc_search.stages.accuracy import evaluate_both_ways


@pytest.mark.parametrize("split", FOUND)
def test_each_side_of_each_split_has_its_own_accuracy(split):
    image_set, gallery_rows = make_known_set()

    both = evaluate_both_ways(RedNetwork(), image_set, split, gallery_rows)

    for result, found in (
        (both.homogeneous, FOUND[split].own),
        (both.heterogeneous, FOUND[split].across),
    ):
        assert result.metrics["top1"] == pytest.approx(top1(found))
        assert result.metrics["top10"] == pytest.approx(top10(found))
        assert result.metrics["map"] == pytest.approx(mean_average_precision(found))
