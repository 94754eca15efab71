"""What every compatibility method promises.

class TestMine(MethodContract):
    @pytest.fixture
    def method(self):
        return Mine(Mine.Settings())
"""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cmpc_search.compatibility.bank import GalleryBank
from cmpc_search.compatibility.base import NO_LABEL, Method, Need, Step

__all__ = ["MethodContract"]

NUM_CLASSES, NUM_IMAGES, NUM_VIEWS, DIM, SIZE_PX = 4, 12, 16, 8, 4


def unit_rows(count: int, seed: int) -> Tensor:
    """Draw directions float32 [count, DIM]."""
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(count, DIM, generator=generator))


class MethodContract:
    """Subclass it and give a ``method`` fixture: a method that is not prepared yet.

    It is given what it says that it needs, and nothing that it does without.
    """

    @pytest.fixture
    def bank(self, method: Method) -> GalleryBank:
        needs = method.needs
        return GalleryBank(
            embeddings=unit_rows(NUM_IMAGES, seed=1),
            labels=torch.arange(NUM_IMAGES) % NUM_CLASSES if Need.LABELS in needs else None,
            classifier=unit_rows(NUM_CLASSES, seed=2) if Need.CLASSIFIER in needs else None,
        )

    @pytest.fixture
    def step(self, method: Method) -> Step:
        """Two views of each of some images, the last of which shows no single class."""
        item_ids = torch.arange(NUM_VIEWS) // 2
        labels = item_ids % NUM_CLASSES
        labels[-1] = NO_LABEL
        seen = unit_rows(NUM_VIEWS, seed=3)
        return Step(
            number=3,
            progress=0.3,
            views=torch.zeros(NUM_VIEWS, 3, SIZE_PX, SIZE_PX),
            item_ids=item_ids,
            labels=labels if Need.LABELS in method.needs else None,
            gallery_embeddings=seen if Need.GALLERY_EMBEDDINGS in method.needs else None,
        )

    @pytest.fixture
    def prepared(self, method: Method, bank: GalleryBank) -> Method:
        torch.manual_seed(0)
        method.prepare(bank)
        return method.train()

    def test_its_needs_are_known(self, method: Method) -> None:
        assert isinstance(method.needs, frozenset)
        assert method.needs <= set(Need)

    def test_every_tensor_that_it_keeps_moves_with_it(self, prepared: Method) -> None:
        for module in prepared.modules():
            loose = [name for name, value in vars(module).items() if isinstance(value, Tensor)]
            assert not loose, f"{loose} must be parameters or buffers"

    def test_its_losses_are_finite_numbers(self, prepared: Method, step: Step) -> None:
        losses = prepared.losses(unit_rows(NUM_VIEWS, seed=4), step)

        assert losses
        assert all(loss.shape == () and loss.isfinite() for loss in losses.values())

    def test_the_same_step_has_the_same_losses(self, prepared: Method, step: Step) -> None:
        embeddings = unit_rows(NUM_VIEWS, seed=4)

        first, second = prepared.losses(embeddings, step), prepared.losses(embeddings, step)

        assert {name: loss.item() for name, loss in first.items()} == {
            name: loss.item() for name, loss in second.items()
        }

    def test_a_query_network_that_follows_its_gradient_does_better(
        self, prepared: Method, step: Step
    ) -> None:
        embeddings = unit_rows(NUM_VIEWS, seed=4).requires_grad_()
        before = total(prepared, embeddings, step)
        (gradient,) = torch.autograd.grad(before, embeddings)

        after = total(prepared, functional.normalize(embeddings - 0.01 * gradient), step)

        assert gradient.any()
        assert after < before

    def test_views_of_no_single_class_are_no_error(self, prepared: Method, step: Step) -> None:
        mixed = None if step.labels is None else torch.full_like(step.labels, NO_LABEL)
        embeddings = unit_rows(NUM_VIEWS, seed=4).requires_grad_()

        found = total(prepared, embeddings, replace(step, labels=mixed))

        found.backward()  # type: ignore[no-untyped-call]
        assert found.isfinite()

    def test_what_it_learns_is_in_its_state(
        self, method: Method, bank: GalleryBank, step: Step
    ) -> None:
        """A training that was killed goes on from it."""
        embeddings = unit_rows(NUM_VIEWS, seed=4)
        method.prepare(bank)
        state = {name: value.clone() for name, value in method.state_dict().items()}
        before = total(method, embeddings, step)
        with torch.no_grad():
            for parameter in method.parameters():
                parameter.add_(torch.randn_like(parameter))

        method.load_state_dict(state)

        assert total(method, embeddings, step) == before


def total(method: Method, embeddings: Tensor, step: Step) -> Tensor:
    """Return the sum of the losses."""
    return torch.stack(tuple(method.losses(embeddings, step).values())).sum()
