"""A view is still a picture on white paper: its shape, its range, its paper."""

import pytest
import torch

from cmpc_search.training.augmentation import Augmentation

STILL = Augmentation(
    max_turn_degrees=0, max_scale=1, max_stretch=1, max_shift=0, grey_share=0, max_gain=0
)
STRONG = Augmentation(
    max_turn_degrees=90,
    max_scale=2,
    max_stretch=1.5,
    max_shift=0.5,
    mirror_share=0.5,
    grey_share=0.5,
    max_gain=0.9,
)
IMAGES = torch.rand(40, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def changed(augmentation, **settings):
    values = {name: getattr(augmentation, name) for name in Augmentation.__dataclass_fields__}
    return Augmentation(**values | settings)


@pytest.mark.parametrize("augmentation", [Augmentation(), STRONG], ids=["default", "strong"])
def test_views_keep_shape_and_range_and_differ_from_their_images(augmentation):
    views = augmentation(IMAGES, generator())

    assert views.shape == IMAGES.shape
    assert views.dtype == torch.float32
    assert 0 <= views.min() < views.max() <= 1
    assert ((views - IMAGES).abs().amax(dim=(1, 2, 3)) > 0.01).all()


def test_the_same_generator_gives_the_same_views_and_another_gives_others():
    first = STRONG(IMAGES, generator(5))

    assert STRONG(IMAGES, generator(5)).equal(first)
    assert not STRONG(IMAGES, generator(6)).equal(first)


def test_white_paper_stays_white():
    white = torch.ones(64, 3, 12, 12)

    assert STRONG(white, generator()).equal(white)


def test_without_any_change_a_view_is_its_image():
    torch.testing.assert_close(STILL(IMAGES, generator()), IMAGES, atol=1e-5, rtol=0)


def test_mirrored_views_are_mirrored():
    views = changed(STILL, mirror_share=1.0)(IMAGES, generator())

    torch.testing.assert_close(views, IMAGES.flip(3), atol=1e-5, rtol=0)


def test_drained_views_have_no_colour_and_only_their_share_is_drained():
    views = changed(STILL, grey_share=0.5)(IMAGES, generator())

    is_grey = (views - views[:, :1]).abs().amax(dim=(1, 2, 3)) < 1e-6
    assert 10 <= is_grey.sum() <= 30
    torch.testing.assert_close(views[~is_grey], IMAGES[~is_grey], atol=1e-5, rtol=0)


def test_a_shift_moves_the_picture_by_its_share_of_the_side_at_most():
    dot = torch.ones(200, 3, 21, 21)
    dot[:, :, 10, 10] = 0
    views = changed(STILL, max_shift=2 / 21)(dot, generator())

    ink = 1 - views[:, 0]
    places = torch.arange(21.0) - 10
    down = (ink.sum(dim=2) * places).sum(dim=1) / ink.sum(dim=(1, 2))
    right = (ink.sum(dim=1) * places).sum(dim=1) / ink.sum(dim=(1, 2))
    for moved in (down, right):
        assert 1.5 < moved.abs().max() <= 2.001
        assert moved.min() < 0 < moved.max()


def test_a_turn_keeps_lengths():
    """A square map turned by anything keeps a disc's ink, which a sheared one would not."""
    rows, columns = torch.meshgrid(torch.arange(31.0) - 15, torch.arange(31.0) - 15, indexing="ij")
    bar = torch.ones(50, 3, 31, 31)
    bar[:, :, (rows.abs() <= 1.5) & (columns.abs() <= 9)] = 0
    ink = 1 - changed(STILL, max_turn_degrees=180)(bar, generator())[:, 0]

    def spread(one):  # eigenvalues of the ink's second moments: squared lengths of its axes
        mass = one.sum()
        xx, yy = (one * columns**2).sum() / mass, (one * rows**2).sum() / mass
        xy = (one * columns * rows).sum() / mass
        return torch.linalg.eigvalsh(torch.stack((torch.stack((xx, xy)), torch.stack((xy, yy)))))

    upright = spread(1 - bar[0, 0])
    for one in ink:
        torch.testing.assert_close(spread(one), upright, rtol=0.1, atol=0.3)
