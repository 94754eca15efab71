"""What every evaluation protocol promises.

class TestMine(ProtocolContract):
    @pytest.fixture
    def protocol(self):
        return Mine()
"""

from dataclasses import replace

import numpy as np
import pytest

from cmpc_search.errors import BadArgument
from cmpc_search.evaluation.base import LabelledRows, Protocol, ProtocolResult

__all__ = ["ProtocolContract", "labelled"]

LABELS = ("cat", "dog", "fox")
NUM_ITEMS = 4  # of each label
DIM = 16


def labelled(
    embeddings: np.ndarray, labels: list[str], names: tuple[str, ...] | None = None
) -> LabelledRows:
    """Return rows whose labels are given by their names."""
    names = names or tuple(sorted(set(labels)))
    return LabelledRows(
        embeddings=np.asarray(embeddings, np.float32),
        labels=np.array([names.index(label) for label in labels], np.int64),
        label_names=names,
    )


class ProtocolContract:
    """Subclass it and give a ``protocol`` fixture."""

    @pytest.fixture
    def sides(self) -> tuple[LabelledRows, LabelledRows]:
        """Noisy embeddings around a direction for each label; the protocol finds most of them."""
        rng = np.random.default_rng(0)
        centres = rng.normal(size=(len(LABELS), DIM))
        labels = [label for label in LABELS for _ in range(NUM_ITEMS)]
        queries, gallery = (
            centres.repeat(NUM_ITEMS, axis=0) + rng.normal(size=(len(labels), DIM))
            for _ in range(2)
        )
        return labelled(queries, labels), labelled(gallery, labels)

    @pytest.fixture
    def result(
        self, protocol: Protocol, sides: tuple[LabelledRows, LabelledRows]
    ) -> ProtocolResult:
        return protocol.evaluate(*sides)

    def test_each_query_with_something_to_find_keeps_its_rank(self, result: ProtocolResult) -> None:
        num_queries = len(LABELS) * NUM_ITEMS
        assert result.ranks.query_ids.tolist() == list(range(num_queries))
        assert ((result.ranks.best_ranks >= 1) & (result.ranks.best_ranks <= num_queries)).all()

    def test_metrics_are_shares(self, result: ProtocolResult) -> None:
        assert result.metrics
        assert all(0 <= value <= 1 for value in result.metrics.values())

    def test_the_same_rows_are_judged_alike(
        self,
        protocol: Protocol,
        sides: tuple[LabelledRows, LabelledRows],
        result: ProtocolResult,
    ) -> None:
        again = protocol.evaluate(*sides)
        assert again.metrics == result.metrics
        assert again.ranks.best_ranks.tolist() == result.ranks.best_ranks.tolist()

    def test_no_metric_prefers_embeddings_that_know_nothing(
        self, protocol: Protocol, sides: tuple[LabelledRows, LabelledRows]
    ) -> None:
        queries, gallery = sides
        perfect = labelled(np.eye(DIM)[gallery.labels], [LABELS[one] for one in gallery.labels])
        shuffled = labelled(
            np.eye(DIM)[np.roll(gallery.labels, NUM_ITEMS)], [LABELS[one] for one in queries.labels]
        )
        right, wrong = (protocol.evaluate(one, perfect) for one in (perfect, shuffled))
        gains = [right.metrics[name] - wrong.metrics[name] for name in right.metrics]
        assert min(gains) >= 0
        assert max(gains) > 0

    @pytest.mark.parametrize("more", [(), ("ant",)])
    def test_labels_are_compared_by_their_names_however_a_side_numbers_them(
        self,
        protocol: Protocol,
        sides: tuple[LabelledRows, LabelledRows],
        result: ProtocolResult,
        more: tuple[str, ...],
    ) -> None:
        queries, gallery = sides
        names = (*more, *reversed(LABELS))
        renumbered = labelled(
            gallery.embeddings, [LABELS[one] for one in gallery.labels], names=names
        )
        assert protocol.evaluate(queries, renumbered).metrics == result.metrics

    def test_an_item_is_no_answer_to_itself(self, protocol: Protocol) -> None:
        """Each label's other item is the last that a query finds, whatever a metric looks at."""
        labels = [f"label {number:02}" for number in range(DIM)]
        shown = labelled(np.concatenate([np.eye(DIM), -np.eye(DIM)]), 2 * labels)
        known = replace(shown, item_ids=tuple(map(str, range(len(shown)))))
        with_itself, without = (protocol.evaluate(one, one) for one in (shown, known))
        losses = [with_itself.metrics[name] - without.metrics[name] for name in without.metrics]
        assert min(losses) >= 0
        assert max(losses) > 0

    def test_a_gallery_that_shares_no_label_is_refused(
        self, protocol: Protocol, sides: tuple[LabelledRows, LabelledRows]
    ) -> None:
        queries, gallery = sides
        others = labelled(gallery.embeddings, ["owl"] * len(gallery))
        with pytest.raises((BadArgument, ValueError)):
            protocol.evaluate(queries, others)
