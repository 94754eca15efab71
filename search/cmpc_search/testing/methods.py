"""What every compatibility method promises.

class TestMine(MethodContract):
    @pytest.fixture
    def make(self):
        return lambda: Mine(Mine.Settings())
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cmpc_search.compatibility.bank import GalleryBank
from cmpc_search.compatibility.base import NO_LABEL, Method, Need, Step
from cmpc_search.training.compute import Compute

__all__ = ["AlignedMethodContract", "MethodContract"]

NUM_CLASSES, NUM_IMAGES, NUM_VIEWS, DIM, SIZE_PX = 4, 12, 16, 8, 4


def unit_rows(count: int, seed: int) -> Tensor:
    """Draw directions float32 [count, DIM]."""
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(count, DIM, generator=generator))


class MethodContract:
    """Subclass it and give a ``make`` fixture: it makes the method, not prepared yet.

    A method is given what it says that it needs, and nothing that it does without.
    """

    @pytest.fixture
    def method(self, make: Callable[[], Method]) -> Method:
        return make()

    @pytest.fixture
    def bank(self, method: Method) -> GalleryBank:
        """Images of both roles in each class, but for one of no known class."""
        labels = torch.arange(NUM_IMAGES) % NUM_CLASSES
        labels[-1] = NO_LABEL
        needs = method.needs
        return GalleryBank(
            embeddings=unit_rows(NUM_IMAGES, seed=1),
            labels=labels if Need.LABELS in needs else None,
            classifier=unit_rows(NUM_CLASSES, seed=2) if Need.CLASSIFIER in needs else None,
            is_query=torch.arange(NUM_IMAGES) < NUM_CLASSES,
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
        return made_ready(method, bank)

    @pytest.fixture
    def embeddings(self) -> Tensor:
        """What an untrained query network says of the views."""
        return unit_rows(NUM_VIEWS, seed=4)

    def test_its_needs_are_known(self, method: Method) -> None:
        assert isinstance(method.needs, frozenset)
        assert method.needs <= set(Need)

    def test_every_tensor_that_it_keeps_moves_with_it(self, prepared: Method) -> None:
        for module in prepared.modules():
            loose = [name for name, value in vars(module).items() if isinstance(value, Tensor)]
            assert not loose, f"{loose} must be parameters or buffers"

    def test_its_losses_are_computed_where_it_is_placed(
        self, prepared: Method, embeddings: Tensor, step: Step
    ) -> None:
        elsewhere = Compute("meta")  # has shapes and no numbers, so that no number may decide
        placed = elsewhere.place_network(prepared)

        losses = placed.losses(elsewhere.place(embeddings), moved(step, elsewhere.place))

        assert {loss.device.type for loss in losses.values()} == {"meta"}

    def test_its_losses_are_finite_numbers(
        self, prepared: Method, embeddings: Tensor, step: Step
    ) -> None:
        losses = prepared.losses(embeddings, step)

        assert losses
        assert all(loss.shape == () and loss.isfinite() for loss in losses.values())

    def test_the_same_step_has_the_same_losses(
        self, prepared: Method, embeddings: Tensor, step: Step
    ) -> None:
        first, second = prepared.losses(embeddings, step), prepared.losses(embeddings, step)

        assert {name: loss.item() for name, loss in first.items()} == {
            name: loss.item() for name, loss in second.items()
        }

    def test_the_order_of_the_views_is_no_matter(
        self, prepared: Method, embeddings: Tensor, step: Step
    ) -> None:
        order = torch.randperm(NUM_VIEWS, generator=torch.Generator().manual_seed(5))

        others = prepared.losses(embeddings[order], moved(step, lambda one: one[order]))

        for name, loss in prepared.losses(embeddings, step).items():
            torch.testing.assert_close(others[name], loss)

    def test_a_view_that_counts_for_nothing_moves_nothing(
        self, prepared: Method, embeddings: Tensor, step: Step
    ) -> None:
        unheard = replace(step, weights=torch.zeros(NUM_VIEWS))

        assert not gradient_at(embeddings, prepared, unheard).any()

    def test_a_query_network_that_follows_its_gradient_does_better(
        self, prepared: Method, embeddings: Tensor, step: Step
    ) -> None:
        gradient = gradient_at(embeddings, prepared, step)

        better = functional.normalize(embeddings - 0.01 * gradient)

        assert gradient.any()
        assert total(prepared, better, step) < total(prepared, embeddings, step)

    def test_views_of_no_single_class_are_no_error(
        self, prepared: Method, embeddings: Tensor, step: Step
    ) -> None:
        mixed = None if step.labels is None else torch.full_like(step.labels, NO_LABEL)
        unlabelled = replace(step, labels=mixed)

        assert total(prepared, embeddings, unlabelled).isfinite()
        assert gradient_at(embeddings, prepared, unlabelled).isfinite().all()

    def test_networks_that_embed_everything_alike_are_no_error(
        self, prepared: Method, step: Step
    ) -> None:
        alike = unit_rows(1, seed=4).repeat(NUM_VIEWS, 1)
        seen = None if step.gallery_embeddings is None else alike
        blind = replace(step, gallery_embeddings=seen)

        assert total(prepared, alike, blind).isfinite()
        assert gradient_at(alike, prepared, blind).isfinite().all()

    def test_what_it_learns_is_in_its_state(
        self, make: Callable[[], Method], bank: GalleryBank, embeddings: Tensor, step: Step
    ) -> None:
        """A training that was killed goes on from it, with what was drawn when it began."""
        method, again = made_ready(make(), bank), made_ready(make(), bank, seed=1)
        with torch.no_grad():
            for kept in method.state_dict().values():
                kept.add_(torch.randn_like(kept))

        again.load_state_dict(method.state_dict())

        assert total(again, embeddings, step) == total(method, embeddings, step)


class AlignedMethodContract(MethodContract):
    """Of a method that wants ``q = g``, and is content with nothing else."""

    def test_it_costs_nothing_to_embed_as_the_gallery_network(
        self, prepared: Method, step: Step
    ) -> None:
        assert step.gallery_embeddings is not None

        found = total(prepared, step.gallery_embeddings, step)

        torch.testing.assert_close(found, torch.zeros(()), atol=1e-4, rtol=0)

    def test_it_costs_to_embed_anything_else(self, prepared: Method, step: Step) -> None:
        """Even where all lie to each other as the gallery's own do: a space turned as a whole."""
        assert step.gallery_embeddings is not None
        turn, _ = torch.linalg.qr(torch.eye(DIM) + 0.1 * unit_rows(DIM, seed=6))

        assert total(prepared, step.gallery_embeddings @ turn, step) > 1e-3


def made_ready(method: Method, bank: GalleryBank, *, seed: int = 0) -> Method:
    """Prepare a method whose random numbers are drawn from ``seed``."""
    torch.manual_seed(seed)
    method.prepare(bank)
    return method.train()


def moved(step: Step, move: Callable[[Tensor], Tensor]) -> Step:
    """Return the step with ``move`` done to each of its tensors."""
    return replace(
        step,
        views=move(step.views),
        item_ids=move(step.item_ids),
        labels=None if step.labels is None else move(step.labels),
        gallery_embeddings=(
            None if step.gallery_embeddings is None else move(step.gallery_embeddings)
        ),
    )


def total(method: Method, embeddings: Tensor, step: Step) -> Tensor:
    """Return the sum of the losses."""
    return torch.stack(tuple(method.losses(embeddings, step).values())).sum()


def gradient_at(embeddings: Tensor, method: Method, step: Step) -> Tensor:
    """Return the gradient of the losses, float32 [N, D]."""
    start = embeddings.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(total(method, start, step), start)
    return gradient
