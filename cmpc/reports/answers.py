"""How the answers to queries read: a table, a document, a picture, and how many are right."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from cmpc.output import make_table
from cmpc.reports.base import Report

if TYPE_CHECKING:
    from PIL import Image

    from cmpc.pictures import NeighbourRow, ShownItem
    from cmpc_search.stages.answers import Answer, Item
    from cmpc_search.stages.querying import QueryOrder

__all__ = [
    "answer_documents",
    "answer_picture",
    "answer_report",
    "answer_rows",
    "how_many_right",
    "picture_rows",
]

COLUMNS = ("query", "class", "rank", "item", "class", "score", "right")


def answer_report(
    order: "QueryOrder", found_by: Sequence["Answer"], judgement: str | None = None
) -> Report:
    """Tell of what queries found, and ``judgement``; else how many are right."""
    judgement = how_many_right(found_by) if judgement is None else judgement
    return Report(
        document={
            "index": order.index_path,
            "bundle": order.bundle,
            "answers": answer_documents(found_by),
        },
        tables=(make_table(COLUMNS, answer_rows(found_by)),),
        sentences=(judgement,) if judgement else (),
    )


def answer_documents(found_by: Sequence["Answer"]) -> list[dict[str, object]]:
    """Return answers as what a JSON document says."""
    return [
        {
            "query": answer.query.name,
            "class_name": answer.query.class_name,
            "neighbours": [
                {
                    "item": found.item.name,
                    "score": found.score,
                    "class_name": found.item.class_name,
                    "is_right": found.is_right,
                }
                for found in answer.found
            ],
        }
        for answer in found_by
    ]


def answer_rows(found_by: Sequence["Answer"]) -> list[tuple[object, ...]]:
    """Return answers as rows: query, its class, rank, item, its class, score, is it right."""
    return [
        (
            answer.query.name if rank == 1 else "",
            answer.query.class_name if rank == 1 else "",
            rank,
            found.item.name,
            found.item.class_name,
            found.score,
            found.is_right,
        )
        for answer in found_by
        for rank, found in enumerate(answer.found, start=1)
    ]


def answer_picture(found_by: Sequence["Answer"], judgement: str | None = None) -> "Image.Image":
    """Draw each query beside what it found, under ``judgement``; else under how many are right."""
    from cmpc.pictures import neighbours_picture

    title = how_many_right(found_by) if judgement is None else judgement
    return neighbours_picture(picture_rows(found_by), title=title)


def picture_rows(found_by: Sequence["Answer"]) -> "list[NeighbourRow]":
    """Return answers as rows of a picture."""
    from cmpc.pictures import NeighbourRow

    return [
        NeighbourRow(
            query=_shown(answer.query, answer.query.name, None),
            neighbours=tuple(
                _shown(found.item, f"{found.score:.3f}  {found.item.name}", found.is_right)
                for found in answer.found
            ),
        )
        for answer in found_by
    ]


def how_many_right(found_by: Sequence["Answer"]) -> str:
    """Say how many queries find an item of their class first; nothing where no class is known."""
    judged = [answer.found[0].is_right for answer in found_by if answer.found]
    known = [is_right for is_right in judged if is_right is not None]
    if not known:
        return ""
    return f"{sum(known)} of {len(known)} queries find an item of their class first"


def _shown(item: "Item", note: str, is_right: bool | None) -> "ShownItem":
    """Return an item as it stands in a picture, under its class if that is known."""
    from cmpc.pictures import ShownItem

    title = item.class_name or PurePath(item.name).name
    return ShownItem(image=item.image, name=title, note=note, is_right=is_right)
