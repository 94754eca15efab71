"""Pictures that show what a search and a query found; each is a Pillow image until it is saved."""

from cmpc.pictures.canvas import save_picture
from cmpc.pictures.contest import ContestPoint, contest_picture
from cmpc.pictures.front import CostAxis, FrontPoint, front_picture
from cmpc.pictures.neighbours import NeighbourRow, ShownItem, neighbours_picture

__all__ = [
    "ContestPoint",
    "CostAxis",
    "FrontPoint",
    "NeighbourRow",
    "ShownItem",
    "contest_picture",
    "front_picture",
    "neighbours_picture",
    "save_picture",
]
