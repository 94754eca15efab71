"""A view of a drawing is still a drawing on white paper."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from cmpc_search.testing.views import STILL
from cmpc_search.training.augmentation.drawing import Drawing
from cmpc_search.training.draws import Draws

IMAGES = torch.rand(40, 3, 12, 12, generator=torch.Generator().manual_seed(0))
STRONG = Drawing(
    supersampling=1,
    max_turn_degrees=90,
    max_scale=2,
    max_stretch=1.5,
    max_shift=0.5,
    max_bend=0.1,
    mirror_share=0.5,
    grey_share=0.5,
    max_gain=0.9,
    hue_share=0.5,
    line_share=0.5,
    erased_share=0.5,
)


def changed(**settings):
    return STILL.model_copy(update=settings)


def views_of(augmentation, images, size_px=None):
    draws = Draws(0, torch.arange(len(images)))
    return augmentation(images, draws, size_px or images.shape[-1])


def test_white_paper_stays_white():
    white = torch.ones(64, 3, 12, 12)

    torch.testing.assert_close(views_of(STRONG, white), white, atol=1e-6, rtol=0)


def test_without_any_change_a_view_is_its_image():
    torch.testing.assert_close(views_of(STILL, IMAGES), IMAGES, atol=1e-5, rtol=0)


def test_views_of_large_images_are_shrunk_by_area():
    still = changed(supersampling=3)

    expected = functional.interpolate(IMAGES, (4, 4), mode="area")
    torch.testing.assert_close(views_of(still, IMAGES, 4), expected, atol=1e-5, rtol=0)


def test_a_view_looks_the_same_at_every_size():
    smooth = functional.interpolate(IMAGES[:, :, :3, :3], (96, 96), mode="bicubic").clamp(0, 1)
    drawn = STRONG.model_copy(update={"supersampling": 2, "max_scale": 1.2, "max_shift": 0.1})

    large = views_of(drawn, smooth, 48)
    small = views_of(drawn, functional.interpolate(smooth, (48, 48), mode="area"), 24)

    apart = (functional.interpolate(large, (24, 24), mode="area") - small).abs()
    assert apart.mean() < 0.02


def test_mirrored_views_are_mirrored():
    views = views_of(changed(mirror_share=1.0), IMAGES)

    torch.testing.assert_close(views, IMAGES.flip(3), atol=1e-5, rtol=0)


def test_drained_views_have_no_colour_and_only_their_share_is_drained():
    views = views_of(changed(grey_share=0.5), IMAGES)

    is_grey = (views - views[:, :1]).abs().amax(dim=(1, 2, 3)) < 1e-6
    assert 10 <= is_grey.sum() <= 30
    torch.testing.assert_close(views[~is_grey], IMAGES[~is_grey], atol=1e-5, rtol=0)


def test_another_hue_changes_colours_and_no_grey():
    colours = torch.tensor([[1.0, 0.5, 0.5], [0.4, 0.4, 0.4], [0.0, 0.0, 0.0]])
    images = colours.T[None, :, :, None].expand(30, 3, 3, 3)

    views = views_of(changed(hue_share=1.0), images)

    torch.testing.assert_close(views[:, :, 1:], images[:, :, 1:], atol=1e-5, rtol=0)
    assert (views[:, :, 0] - images[:, :, 0]).abs().amax(dim=(1, 2)).median() > 0.2
    # The axis of greys is what is turned about: how far a colour is along it stays.
    torch.testing.assert_close(views.sum(dim=1), images.sum(dim=1), atol=2e-2, rtol=0)


def test_other_lines_recolour_black_and_nothing_else():
    colours = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.3, 0.0], [1.0, 1.0, 1.0]])
    images = colours.T[None, :, :, None].expand(30, 3, 3, 3)

    views = views_of(changed(line_share=1.0), images)

    torch.testing.assert_close(views[:, :, 1:], images[:, :, 1:], atol=1e-6, rtol=0)
    assert views[:, :, 0].amax(dim=(1, 2)).min() > 0.05
    assert views[:, :, 0].std() > 0.2


def test_the_erased_part_is_white_and_no_larger_than_it_may_be():
    black = torch.zeros(200, 3, 40, 40)

    views = views_of(changed(erased_share=0.5, max_erased_area=0.3), black)

    areas = views[:, 0].mean(dim=(1, 2))
    assert ((views < 1e-5) | (views == 1)).all()
    assert 70 < (areas > 1e-3).sum() < 130
    assert 0.25 < areas.max() <= 0.3 * 1.15  # whole pixels


def test_a_shift_moves_the_picture_by_its_share_of_the_side_at_most():
    dot = torch.ones(200, 3, 21, 21)
    dot[:, :, 10, 10] = 0
    ink = 1 - views_of(changed(max_shift=2 / 21), dot)[:, 0]

    places = torch.arange(21.0) - 10
    down = (ink.sum(dim=2) * places).sum(dim=1) / ink.sum(dim=(1, 2))
    right = (ink.sum(dim=1) * places).sum(dim=1) / ink.sum(dim=(1, 2))
    for moved in (down, right):
        assert 1.5 < moved.abs().max() <= 2.001
        assert moved.min() < 0 < moved.max()


def test_a_bend_moves_lines_by_its_height_at_most_and_differently_along_them():
    line = torch.ones(50, 3, 40, 40)
    line[:, :, :, 20] = 0
    ink = 1 - views_of(changed(max_bend=0.1), line)[:, 0]

    ink = ink[:, 6:34]  # above and below, rows come from outside
    place = (ink * torch.arange(40.0)).sum(dim=2) / ink.sum(dim=2) - 20
    assert 3 < place.abs().max() < 4.2
    assert (place.amax(dim=1) - place.amin(dim=1)).max() > 4


def test_a_turn_keeps_lengths():
    """A square map turned by anything keeps a disc's ink, which a sheared one would not."""
    rows, columns = torch.meshgrid(torch.arange(31.0) - 15, torch.arange(31.0) - 15, indexing="ij")
    bar = torch.ones(50, 3, 31, 31)
    bar[:, :, (rows.abs() <= 1.5) & (columns.abs() <= 9)] = 0
    ink = 1 - views_of(changed(max_turn_degrees=180), bar)[:, 0]

    def spread(one):  # eigenvalues of the ink's second moments: squared lengths of its axes
        mass = one.sum()
        xx, yy = (one * columns**2).sum() / mass, (one * rows**2).sum() / mass
        xy = (one * columns * rows).sum() / mass
        return torch.linalg.eigvalsh(torch.stack((torch.stack((xx, xy)), torch.stack((xy, yy)))))

    upright = spread(1 - bar[0, 0])
    for one in ink:
        torch.testing.assert_close(spread(one), upright, rtol=0.1, atol=0.3)


@pytest.mark.parametrize("degrees", [30.0, 180.0])
def test_turns_go_both_ways_and_no_further_than_they_may(degrees):
    draws = Draws(0, torch.arange(1000))

    turns = np.rad2deg(changed(max_turn_degrees=degrees)._warp(draws).turn.numpy())

    assert 0.98 * degrees < turns.max() <= degrees
    assert -degrees <= turns.min() < -0.98 * degrees
