"""Pictures say what they should at the places where they should say it."""

import numpy as np
import pytest
from PIL import Image, ImageColor

from cmpc.pictures import (
    CostAxis,
    FrontPoint,
    NeighbourRow,
    ShownItem,
    front_picture,
    neighbours_picture,
    save_picture,
)
from cmpc.pictures.canvas import AMBER, BLUE, GREEN, PIXELS_PER_POINT, RED, shortened, text_width
from cmpc.pictures.front import Scale, ticks
from cmpc.pictures.neighbours import MARGIN, SIDE, column_left

TEAL = (12, 140, 130)
LATENCY = CostAxis(name="latency", unit="ms", source="measured")


def plain_item(name="bear", *, is_right=None):
    image = np.full((8, 8, 3), TEAL, np.uint8)
    return ShownItem(image=image, name=name, note="0.91", is_right=is_right)


def colour_at(picture: Image.Image, x: float, y: float):
    return picture.getpixel((round(x * PIXELS_PER_POINT), round(y * PIXELS_PER_POINT)))


def count(picture: Image.Image, colour: str) -> int:
    return int((np.asarray(picture) == ImageColor.getrgb(colour)).all(axis=2).sum())


def test_neighbours_are_framed_by_whether_they_are_right():
    found = (plain_item(is_right=True), plain_item(is_right=False), plain_item())

    picture = neighbours_picture([NeighbourRow(query=plain_item(), neighbours=found)])

    below_header = MARGIN + 22 + SIDE / 2
    frames = [colour_at(picture, column_left(n) + 1.5, below_header) for n in range(3)]
    assert frames[0] == ImageColor.getrgb(GREEN)
    assert frames[1] == ImageColor.getrgb(RED)
    assert frames[2] not in frames[:2]
    insides = [colour_at(picture, column_left(n) + SIDE / 2, below_header) for n in range(3)]
    assert insides == [TEAL] * 3
    assert colour_at(picture, MARGIN + SIDE / 2, below_header) == TEAL


def test_a_row_more_makes_the_picture_taller_and_not_wider():
    row = NeighbourRow(query=plain_item(), neighbours=(plain_item(),) * 5)

    one, two, three = (neighbours_picture([row] * n) for n in (1, 2, 3))

    assert one.width == two.width
    assert three.height - two.height == two.height - one.height > SIDE * PIXELS_PER_POINT


def test_an_item_without_a_picture_still_has_its_place():
    item = ShownItem(image=None, name="bear", is_right=True)

    picture = neighbours_picture([NeighbourRow(query=plain_item(), neighbours=(item,))])

    assert count(picture, GREEN) > 0


def test_the_front_and_the_pick_stand_out_from_the_crowd():
    crowd = [FrontPoint(cost=1.0 + n, reward=0.1 * n) for n in range(5)]
    front = FrontPoint(cost=1.0, reward=0.5, is_on_front=True)
    pick = FrontPoint(cost=2.0, reward=0.7, is_on_front=True, is_pick=True)

    without = front_picture(crowd, LATENCY, reward_name="top-1")
    with_front = front_picture([*crowd, front, pick], LATENCY, reward_name="top-1")

    assert count(without, AMBER) == 0
    assert count(with_front, AMBER) > 50
    assert count(with_front, BLUE) > count(without, BLUE)


def test_the_axis_names_the_source_of_the_cost():
    assert LATENCY.title == "latency, ms (measured)"


@pytest.mark.parametrize("num_points", [0, 1])
def test_a_front_of_hardly_any_candidates_can_be_drawn(num_points):
    points = [FrontPoint(cost=3.0, reward=0.5)] * num_points
    budget = CostAxis(name="arithmetic", unit="MMAC", source="counted", budget=3.0)

    assert front_picture(points, budget, reward_name="top-1").width > 800


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.33, 0.67, ["0.35", "0.40", "0.45", "0.50", "0.55", "0.60", "0.65"]),
        (0.2, 4.7, ["1", "2", "3", "4"]),
        (90.0, 1210.0, ["200", "400", "600", "800", "1000", "1200"]),
    ],
)
def test_ticks_are_round_numbers_of_one_precision(low, high, labels):
    assert [label for _, label in ticks(Scale(low, high, 0, 1))] == labels


def test_a_long_name_is_cut_to_its_place():
    cut = shortened("a name that no caption has room for", 10, 60)

    assert cut.endswith("...")
    assert text_width(cut, 10) <= 60


def test_a_picture_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "taken.png").mkdir()

    with pytest.raises(OSError, match="over a folder"):
        save_picture(Image.new("RGB", (2, 2)), tmp_path / "taken.png")

    assert [path.name for path in tmp_path.iterdir()] == ["taken.png"]
