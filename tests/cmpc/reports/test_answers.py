"""Pictures become named neighbours, and right or wrong is said only where it is known."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cmpc.reports.answers import answer_documents, answer_rows, how_many_right, picture_rows
from cmpc_kernels import GalleryIndex
from cmpc_search.data import Drops, ImageSet
from cmpc_search.errors import BadArgument
from cmpc_search.stages.answers import KnownItems, answers

COLOURS = np.array([[255, 0, 0], [250, 0, 0], [0, 255, 0], [0, 250, 0]], np.uint8)


@pytest.fixture
def image_set():
    """Two classes, red and green, each with a query and a gallery item; all are test classes."""
    return ImageSet(
        name="colours",
        images=np.broadcast_to(COLOURS[:, None, None], (4, 6, 6, 3)),
        labels=np.array([0, 0, 1, 1]),
        class_names=("red", "green"),
        is_query=np.array([True, False, True, False]),
        split=np.full(4, 2, np.int8),
        item_names=("q/red", "g/red", "q/green", "g/green"),
        sha256="0" * 64,
        licences=("CC0",),
        drops=Drops(),
    )


@pytest.fixture
def index():
    return GalleryIndex.build(
        np.array([[1, 0], [0, 1]], np.float32), "cosine", item_names=("g/red", "g/green")
    )


def embed(items):
    """Stand in for a bundle: how red and how green a picture is."""
    return np.stack([item.image.mean(axis=(0, 1))[:2] for item in items]).astype(np.float32)


def ask(items, embeddings, index, known, *, k):
    return answers(items, index.search(embeddings, k), index.item_names, known)


def test_items_of_a_data_set_are_judged_by_their_class(image_set, index):
    known = KnownItems(image_set, size_px=6)
    queries = known.queries(["q/red", "q/green"])

    red, green = answer_documents(ask(queries, embed(queries), index, known, k=2))

    assert (red["query"], red["class_name"]) == ("q/red", "red")
    assert [found["item"] for found in green["neighbours"]] == ["g/green", "g/red"]
    assert [found["is_right"] for found in green["neighbours"]] == [True, False]


def test_a_file_is_a_query_about_which_nothing_is_claimed(image_set, index, tmp_path):
    Image.new("RGB", (20, 10), (0, 255, 0)).save(tmp_path / "leaf.png")
    known = KnownItems(image_set, size_px=6)
    queries = known.queries([str(tmp_path / "leaf.png")])

    (answer,) = ask(queries, embed(queries), index, known, k=1)

    assert answer.query.class_name is None
    assert answer.found[0].item.class_name == "green"
    assert answer.found[0].is_right is None


def test_the_picture_shows_the_class_and_the_thumbnail_of_what_was_found(image_set, index):
    known = KnownItems(image_set, size_px=6)
    queries = known.queries(["q/red"])

    (row,) = picture_rows(ask(queries, embed(queries), index, known, k=1))

    assert (row.query.name, row.neighbours[0].name) == ("red", "red")
    assert tuple(row.neighbours[0].image[0, 0]) == (250, 0, 0)
    assert row.neighbours[0].is_right is True


def test_what_is_counted_as_right_is_only_what_can_be_judged(image_set, index, tmp_path):
    Image.new("RGB", (6, 6), (0, 255, 0)).save(tmp_path / "leaf.png")
    known = KnownItems(image_set, size_px=6)
    red, green, leaf = known.queries(["q/red", "q/green", str(tmp_path / "leaf.png")])
    all_but_leaf_red = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32)

    found = ask([red, red, green, leaf], all_but_leaf_red, index, known, k=2)

    assert how_many_right(found) == "2 of 3 queries find an item of their class first"
    assert how_many_right(found[3:]) == ""


def test_a_row_and_a_document_say_of_each_neighbour_its_own_class_and_score(image_set, index):
    known = KnownItems(image_set, size_px=6)
    queries = known.queries(["q/green", "q/red"])
    rows = np.array([[0.8, 0.6], [1, 0]], np.float32)

    found = ask(queries, rows, index, known, k=2)

    shown = [(*row[:5], round(row[5], 6), row[6]) for row in answer_rows(found)]
    assert shown == [
        ("q/green", "green", 1, "g/red", "red", 0.8, False),
        ("", "", 2, "g/green", "green", 0.6, True),
        ("q/red", "red", 1, "g/red", "red", 1.0, True),
        ("", "", 2, "g/green", "green", 0.0, False),
    ]
    told = [
        (one["item"], one["class_name"], round(one["score"], 6), one["is_right"])
        for answer in answer_documents(found)
        for one in answer["neighbours"]
    ]
    assert told == [row[3:] for row in shown]


def test_an_index_without_names_answers_with_numbers(index):
    nameless = GalleryIndex.build(index.rows)
    known = KnownItems(None, size_px=6)
    asked = known.find("nothing known of it")

    (answer,) = ask([asked], np.array([[0, 1]], np.float32), nameless, known, k=1)

    assert answer.found[0].item.name == "1"
    assert answer.found[0].item.image is None


@pytest.mark.parametrize("is_named", [False, True])
def test_answers_depend_on_the_index_and_not_on_the_working_folder(
    is_named, index, tmp_path, monkeypatch
):
    names = ["0", "n" * 300]
    asked = GalleryIndex.build(index.rows, item_names=names if is_named else None)
    monkeypatch.chdir(tmp_path)
    for name in ("0", "1"):
        (tmp_path / name).write_text("no picture")
    query, rows = KnownItems(None, size_px=6).find("any"), np.array([[2, 1]], np.float32)

    (answer,) = ask([query], rows, asked, KnownItems(None, size_px=6), k=2)

    assert [found.item.name for found in answer.found] == (names if is_named else ["0", "1"])
    assert [found.item.image for found in answer.found] == [None, None]


def test_an_id_is_not_taken_for_the_name_of_an_item_of_the_data_set(image_set, index):
    numbered = replace(image_set, item_names=("q", "0", "r", "1"))
    known = KnownItems(numbered, size_px=6)
    (query,) = known.queries(["q"])

    (answer,) = ask([query], embed([query]), GalleryIndex.build(index.rows), known, k=1)

    assert (answer.found[0].item.class_name, answer.found[0].is_right) == (None, None)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "", "."])
def test_a_query_that_can_be_no_file_is_told_like_any_other(name):
    with pytest.raises(BadArgument, match="a query must be a picture file"):
        KnownItems(None, size_px=6).queries([name])


def test_the_same_seed_draws_the_same_test_queries(image_set):
    known = KnownItems(image_set, size_px=6)

    drawn = [{item.name for item in known.draw(2, seed=7)} for _ in range(2)]

    assert drawn == [{"q/red", "q/green"}] * 2


def test_more_than_there_are_cannot_be_drawn(image_set):
    with pytest.raises(BadArgument, match="at most the 2 test queries of colours, got 3"):
        KnownItems(image_set, size_px=6).draw(3, seed=0)


def test_a_name_without_a_picture_cannot_ask(image_set):
    with pytest.raises(BadArgument, match=r"an item of colours.*got q/blue"):
        KnownItems(image_set, size_px=6).queries(["q/red", "q/blue"])


def test_slots_that_no_item_fills_are_no_answers(image_set, index):
    known = KnownItems(image_set, size_px=6)
    queries = known.queries(["q/red"])

    (answer,) = ask(queries, embed(queries), index, known, k=9)

    assert [found.item.name for found in answer.found] == ["g/red", "g/green"]
