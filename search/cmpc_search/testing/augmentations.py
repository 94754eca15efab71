"""What every kind of augmentation promises.

class TestMine(AugmentationContract):
    @pytest.fixture
    def augmentation(self):
        return Mine()
"""

import pytest
import torch
from torch import Tensor

from cmpc_search.training.augmentation.base import Augmentation
from cmpc_search.training.draws import Draws

__all__ = ["AugmentationContract"]

NUM_IMAGES, SIZE_PX = 37, 11  # of odd sizes: no vector of the processor holds them evenly


class AugmentationContract:
    """Subclass it and give an ``augmentation`` fixture."""

    @pytest.fixture
    def images(self, augmentation: Augmentation) -> Tensor:
        side_px = SIZE_PX * augmentation.supersampling
        generator = torch.Generator().manual_seed(0)
        return torch.rand(NUM_IMAGES, 3, side_px, side_px, generator=generator)

    @pytest.fixture
    def views(self, augmentation: Augmentation, images: Tensor) -> Tensor:
        return augmentation(images, Draws(5, torch.arange(NUM_IMAGES)), SIZE_PX)

    def test_views_are_pictures_of_the_asked_size(self, views: Tensor) -> None:
        assert views.shape == (NUM_IMAGES, 3, SIZE_PX, SIZE_PX)
        assert views.dtype == torch.float32
        assert 0 <= float(views.min()) < float(views.max()) <= 1

    def test_a_view_is_the_same_to_the_last_bit_in_any_batch(
        self, augmentation: Augmentation, images: Tensor, views: Tensor
    ) -> None:
        for chosen in ([3], [36, 0], [*range(5, 24)]):
            draws = Draws(5, torch.tensor(chosen))
            assert augmentation(images[chosen], draws, SIZE_PX).equal(views[chosen])

    def test_another_number_is_another_view(
        self, augmentation: Augmentation, images: Tensor
    ) -> None:
        same = images[:1].expand(NUM_IMAGES, -1, -1, -1)
        views = augmentation(same, Draws(5, torch.arange(NUM_IMAGES)), SIZE_PX)

        assert len({tuple(view.flatten().tolist()) for view in views}) == NUM_IMAGES

    def test_its_settings_are_read_again_as_they_were_written(
        self, augmentation: Augmentation
    ) -> None:
        assert type(augmentation).model_validate(augmentation.model_dump()) == augmentation
