"""Published sets in small: their lists are read as published, and their closed tests are kept."""

from collections import Counter

import numpy as np
import pytest

from cmpc_search.data import load_image_set
from cmpc_search.data.sources.catalogue import use_copy
from cmpc_search.data.sources.cub import CubSource
from cmpc_search.data.sources.inshop import InShopSource
from cmpc_search.data.sources.sop import SopSource
from cmpc_search.errors import BadData
from cmpc_search.evaluation.open_set import OpenSet
from cmpc_search.stages.accuracy import labelled_rows
from cmpc_search.testing.sources import SourceContract

PER_CLASS = 3


def save_all(save_picture, folder, paths):
    for seed, path in enumerate(paths):
        save_picture(folder / path, seed=seed)


@pytest.fixture
def cub(tmp_path, save_picture):
    """Twelve species, half of them above the hundredth; three pictures each."""
    folder = tmp_path / "CUB_200_2011"
    numbers = [*range(1, 7), *range(101, 107)]
    paths = [
        f"{number:03}.Bird_{number}/Bird_{one}_{number}.jpg"
        for number in numbers
        for one in range(PER_CLASS)
    ]
    save_all(save_picture, folder / "images", paths)
    images = enumerate(paths, start=1)
    (folder / "images.txt").write_text("".join(f"{image} {path}\n" for image, path in images))
    labels = [number for number in numbers for _ in range(PER_CLASS)]
    lines = (f"{image} {label}\n" for image, label in enumerate(labels, start=1))
    (folder / "image_class_labels.txt").write_text("".join(lines))
    return tmp_path


@pytest.fixture
def sop(tmp_path, save_picture):
    """Six products that train and four that test."""
    folder = tmp_path / "Stanford_Online_Products"
    image = 0
    for name, products in {"train": range(1, 7), "test": range(7, 11)}.items():
        lines = ["image_id class_id super_class_id path"]
        for product in products:
            for one in range(PER_CLASS):
                image += 1
                path = f"sofa_final/{product}_{one}.JPG"
                save_picture(folder / path, seed=image)
                lines.append(f"{image} {product} 1 {path}")
        (folder / f"Ebay_{name}.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def inshop(tmp_path, save_picture):
    """Six garments that train, three that test: one picture asks, two answer."""
    lines, number = [], 0
    for garment in range(9):
        for one in range(PER_CLASS):
            number += 1
            status = "train" if garment < 6 else "query" if one == 0 else "gallery"
            path = f"img/WOMEN/Dresses/id_{garment:08}/0{one}_1_front.jpg"
            save_picture(tmp_path / path, seed=number)
            lines.append(f"{path}  id_{garment:08}  {status}")
    eval_folder = tmp_path / "Eval"
    eval_folder.mkdir()
    head = [str(len(lines)), "image_name item_id evaluation_status"]
    (eval_folder / "list_eval_partition.txt").write_text("\n".join([*head, *lines]) + "\n")
    return tmp_path


class TestCub(SourceContract):
    @pytest.fixture
    def make_source(self, cub):
        return lambda: CubSource(cub)


class TestSop(SourceContract):
    @pytest.fixture
    def make_source(self, sop):
        return lambda: SopSource(sop)


class TestInShop(SourceContract):
    @pytest.fixture
    def make_source(self, inshop):
        return lambda: InShopSource(inshop)


def loaded(name, folder, tmp_path):
    use_copy(name, folder, tmp_path / "cache")
    return load_image_set(name, size_px=8, cache_dir=tmp_path / "cache")


def classes_of(image_set, split):
    positions = image_set.select(split=split)
    return {image_set.class_names[label] for label in image_set.labels[positions]}


def test_the_last_hundred_birds_test(cub, tmp_path):
    image_set = loaded("cub", cub, tmp_path)

    assert classes_of(image_set, "test") == {f"{n}.Bird_{n}" for n in range(101, 107)}
    assert len(classes_of(image_set, "train")) == 4
    assert len(classes_of(image_set, "validation")) == 2
    assert image_set.is_open_set


def test_products_of_the_second_list_test(sop, tmp_path):
    assert classes_of(loaded("sop", sop, tmp_path), "test") == {
        f"product {n}" for n in range(7, 11)
    }


def test_garments_that_test_ask_and_answer_as_published(inshop, tmp_path):
    image_set = loaded("inshop", inshop, tmp_path)

    test = image_set.select(split="test")
    assert classes_of(image_set, "test") == {f"id_{n:08}" for n in (6, 7, 8)}
    asking = [
        image_set.item_names[position] for position in image_set.select(split="test", role="query")
    ]
    assert [name.rpartition("/")[2] for name in asking] == ["00_1_front.jpg"] * 3
    assert len(test) == 3 * PER_CLASS


@pytest.mark.parametrize("name", ["cub", "sop"])
def test_every_picture_that_tests_asks_for_all_others_and_trains_once(request, name, tmp_path):
    image_set = loaded(name, request.getfixturevalue(name), tmp_path)

    for split in ("validation", "test"):
        asking, answering = (
            image_set.select(split=split, role=role) for role in ("query", "gallery")
        )
        assert len(asking) == len(answering) == PER_CLASS * len(classes_of(image_set, split))
        np.testing.assert_array_equal(image_set.images[asking], image_set.images[answering])
    train = Counter(image_set.labels[image_set.select(split="train")].tolist())
    assert set(train.values()) == {PER_CLASS}
    assert image_set.drops.total == 0


def test_a_picture_is_no_answer_to_itself(cub, tmp_path):
    """The second picture of each class is like itself, and unlike the others of its class."""
    image_set = loaded("cub", cub, tmp_path)
    names = [name.removesuffix(" (asks)") for name in image_set.item_names]
    own = np.eye(len(names))[[names.index(name) for name in names]]
    signs = np.array([-1 if "/Bird_1_" in name else 1 for name in names])
    rows = np.hstack([own, signs[:, None] * np.eye(image_set.num_classes)[image_set.labels]])

    def side(role):
        positions = image_set.select(split="test", role=role)
        return labelled_rows(image_set, positions, rows[positions].astype(np.float32))

    found = OpenSet().evaluate(side("query"), side("gallery"))

    assert found.metrics["top1"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("name", "file", "line", "message"),
    [
        ("cub", "CUB_200_2011/images.txt", "99 Bird.jpg", "a class number for image 99, Bird"),
        ("cub", "CUB_200_2011/images.txt", "99", r"line 37 of .*images\.txt must have 2 cells"),
        ("sop", "Ebay_test.txt", "1 2 3 gone.JPG", r"1 of 31 are not, the first is .*gone\.JPG"),
        ("inshop", "Eval/list_eval_partition.txt", "img/x id_1 probe", "must be one of train, que"),
    ],
)
def test_a_mistake_in_a_published_list_is_named(request, tmp_path, name, file, line, message):
    folder = request.getfixturevalue(name)
    with (folder / file).open("a") as opened:
        opened.write(line + "\n")

    with pytest.raises(BadData, match=message):
        use_copy(name, folder, tmp_path / "cache")


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(BadData, match=r"Ebay_train\.txt must be there, as it was published"):
        use_copy("sop", tmp_path, tmp_path / "cache")
