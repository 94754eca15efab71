"""A view of a photograph is a part of it, in other light."""

import pytest
import torch

from cmpc_search.training.augmentation.photo import Photo
from cmpc_search.training.draws import Draws

PLAIN = Photo(
    min_area=1,
    max_stretch=1,
    mirror_share=0,
    max_brightness=0,
    max_contrast=0,
    max_saturation=0,
    max_hue_turn=0,
    grey_share=0,
    blurred_share=0,
    erased_share=0,
)
IMAGES = torch.rand(40, 3, 24, 24, generator=torch.Generator().manual_seed(0))


def views_of(images, **settings):
    draws = Draws(0, torch.arange(len(images)))
    return PLAIN.model_copy(update=settings)(images, draws, images.shape[-1])


def test_without_any_change_a_view_is_its_image():
    torch.testing.assert_close(views_of(IMAGES), IMAGES, atol=1e-5, rtol=0)


def test_a_crop_shows_as_large_a_part_as_it_may_and_nothing_outside():
    """Of a picture whose colours tell the place, the corners tell which part is shown."""
    places = (torch.arange(64) + 0.5) / 64
    across, down = places.expand(64, 64), places[:, None].expand(64, 64)
    images = torch.stack((across, down, torch.zeros(64, 64))).expand(300, 3, 64, 64)

    views = views_of(images, min_area=0.25, max_stretch=1.5)

    width = (views[:, 0, :, -1] - views[:, 0, :, 0]).mean(dim=1) * 64 / 63
    height = (views[:, 1, -1] - views[:, 1, 0]).mean(dim=1) * 64 / 63
    area, stretch = width * height, width / height
    assert 0.24 < area.min() < 0.3
    assert 0.9 < area.max() <= 1.01
    assert 1.4 < stretch.max() < 1.52
    assert 1.4 < (1 / stretch).max() < 1.52
    assert views[:, :2].min() > 0  # white from outside would be a great step


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"mirror_share": 1.0}, lambda images: images.flip(3)),
        (
            {"grey_share": 1.0},
            lambda images: (
                (images * torch.tensor([0.299, 0.587, 0.114])[:, None, None])
                .sum(1, keepdim=True)
                .expand_as(images)
            ),
        ),
    ],
)
def test_a_change_is_what_it_is_called(settings, expected):
    torch.testing.assert_close(views_of(IMAGES, **settings), expected(IMAGES), atol=1e-5, rtol=0)


def test_light_changes_as_far_as_it_may():
    grey = torch.full((500, 3, 4, 4), 0.4)

    brightness = views_of(grey, max_brightness=0.3)[:, 0, 0, 0] / 0.4
    contrast = (views_of(grey, max_contrast=0.3)[:, 0, 0, 0] - 0.5) / -0.1

    for factor in (brightness, contrast):
        assert 0.69 < factor.min() < 0.71
        assert 1.29 < factor.max() < 1.31


def test_blurred_views_vary_less_and_keep_their_mean():
    views = views_of(IMAGES, blurred_share=0.5, max_blur=0.1)

    variation = views.std(dim=(2, 3)).mean(dim=1) / IMAGES.std(dim=(2, 3)).mean(dim=1)
    assert 8 <= (variation < 0.99).sum() <= 32
    assert variation.min() < 0.5
    torch.testing.assert_close(views.mean(), IMAGES.mean(), atol=0.01, rtol=0)


def test_erased_parts_are_grey():
    views = views_of(torch.zeros(100, 3, 40, 40), erased_share=1.0, max_erased_area=0.3)

    assert ((views < 1e-5) | (views == 0.5)).all()
    assert 0.25 < 2 * views[:, 0].mean(dim=(1, 2)).max() <= 0.3 * 1.15
