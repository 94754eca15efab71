"""What every source of batches promises, however it keeps or makes its views.

class TestMine(BatchSourceContract):
    @pytest.fixture
    def source(self):
        return Mine()  # of 8 views or more, all with labels
"""

from dataclasses import fields

import pytest
import torch
from torch import Tensor

from cmpc_search.compatibility.base import Step
from cmpc_search.training.batches import BatchSource
from cmpc_search.training.settings import QueryTraining

__all__ = ["BatchSourceContract"]

TRAINING = QueryTraining(num_steps=10, batch_size=4, micro_batches=1)


class BatchSourceContract:
    """Subclass it and give a ``source`` fixture."""

    @pytest.fixture
    def steps(self, source: BatchSource) -> list[Step]:
        batches = source.batches(TRAINING, seed=1)
        return [batches.at(number) for number in range(TRAINING.num_steps)]

    def test_a_step_says_which_it_is_and_how_much_is_done(self, steps: list[Step]) -> None:
        assert [step.number for step in steps] == [*range(10)]
        assert [step.progress for step in steps] == [number / 10 for number in range(10)]

    def test_all_that_is_known_is_known_of_each_view(self, steps: list[Step]) -> None:
        for step in steps:
            num_views, channels, height, width = step.views.shape
            assert (num_views, channels, height) == (4, 3, width)
            assert step.item_ids.shape == (4,)
            assert step.labels is not None
            assert step.labels.shape == (4,)
            assert step.gallery_embeddings is not None
            assert step.gallery_embeddings.shape[:1] == (4,)

    def test_numbers_have_the_types_that_networks_read(self, steps: list[Step]) -> None:
        step = steps[0]
        assert step.labels is not None
        assert step.gallery_embeddings is not None
        assert step.views.dtype == step.gallery_embeddings.dtype == torch.float32
        assert step.item_ids.dtype == step.labels.dtype == torch.int64
        assert 0 <= float(step.views.min()) <= float(step.views.max()) <= 1

    def test_a_step_is_a_function_of_its_number_in_whatever_order_they_are_asked_for(
        self, source: BatchSource, steps: list[Step]
    ) -> None:
        batches = source.batches(TRAINING, seed=1)

        for number in (7, 0, 3, 7):
            assert same(batches.at(number), steps[number])

    def test_micro_batches_share_the_views_of_a_step(
        self, source: BatchSource, steps: list[Step]
    ) -> None:
        training = TRAINING.model_copy(update={"micro_batches": 2})
        batches = source.batches(training, seed=1)

        for step in steps:
            parts = [batches.at(step.number, part) for part in range(batches.num_parts)]
            assert [len(part.views) for part in parts] == [2, 2]
            together = torch.cat([part.item_ids for part in parts])
            assert together.sort().values.equal(step.item_ids.sort().values)

    def test_another_seed_is_another_order(self, source: BatchSource, steps: list[Step]) -> None:
        others = source.batches(TRAINING, seed=2)

        assert not all(same(others.at(step.number), step) for step in steps)


def same(one: Step, other: Step) -> bool:
    """Whether two steps hold the same, number for number."""
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(Step)]
    return all(
        torch.equal(mine, theirs) if isinstance(mine, Tensor) else mine == theirs
        for mine, theirs in pairs
    )
