"""Published sets in small: their lists are read as published, and their closed tests are kept."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from cmpc_search.data import load_image_set
from cmpc_search.data.image_set import NO_CLASS
from cmpc_search.data.sources.catalogue import use_copy
from cmpc_search.data.sources.cub import CubSource
from cmpc_search.data.sources.deepfashion2 import DeepFashion2Source
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


@pytest.fixture
def deepfashion2(tmp_path):
    """Six pairs that train and three that test: a customer's picture of two items, and a shop's.

    The left item has style 1. The right one is of style 0, of another colour in each picture.
    """
    rng = np.random.default_rng(0)
    for part, pairs in {"train": range(1, 7), "validation": range(1, 4)}.items():
        for number, (pair, source) in enumerate(
            ((pair, source) for pair in pairs for source in ("user", "shop")), start=1
        ):
            pixels = rng.integers(0, 256, (8, 20, 3), np.uint8)
            boxes = {"item1": (1, [0, 0, 8, 8]), "item2": (0, [12, 0, 20, 8])}
            items = {
                key: {"style": style, "bounding_box": box, "category_id": 1}
                for key, (style, box) in boxes.items()
            }
            for folder in ("annos", "image"):
                (tmp_path / part / folder).mkdir(parents=True, exist_ok=True)
            document = {"source": source, "pair_id": pair, **items}
            (tmp_path / part / "annos" / f"{number:06}.json").write_text(json.dumps(document))
            Image.fromarray(pixels).save(
                tmp_path / part / "image" / f"{number:06}.jpg", format="PNG"
            )
    return tmp_path


class TestDeepFashion2(SourceContract):
    @pytest.fixture
    def make_source(self, deepfashion2):
        return lambda: DeepFashion2Source(deepfashion2)


def test_customers_ask_and_shops_answer_among_items_that_nobody_asks_for(deepfashion2, tmp_path):
    image_set = loaded("deepfashion2", deepfashion2, tmp_path)

    asking, answering = (image_set.select(split="test", role=role) for role in ("query", "gallery"))
    asked = {image_set.class_names[label] for label in image_set.labels[asking]}
    assert asked == {f"validation/pair {pair} style 1" for pair in (1, 2, 3)}
    assert [image_set.item_names[row] for row in answering] == [
        f"validation/{number:06}/item{item}" for number in (2, 4, 6) for item in (1, 2)
    ]
    assert image_set.drops.total == 0


def test_items_without_a_style_train_without_a_class(deepfashion2, tmp_path):
    image_set = loaded("deepfashion2", deepfashion2, tmp_path)

    without = np.flatnonzero(image_set.labels == NO_CLASS)
    assert {image_set.item_names[row] for row in without} == {
        f"train/{number:06}/item2" for number in range(1, 13)
    }
    assert len(classes_of(image_set, "train")) == 4
    assert len(classes_of(image_set, "validation")) == 2


def test_an_item_is_what_is_in_its_box(deepfashion2, tmp_path):
    image_set = loaded("deepfashion2", deepfashion2, tmp_path)

    row = image_set.item_names.index("validation/000002/item2")
    with Image.open(deepfashion2 / "validation" / "image" / "000002.jpg") as picture:
        np.testing.assert_array_equal(image_set.images[row], np.asarray(picture)[:, 12:20])


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", r"000001\.json must tell source .*JSONDecodeError"),
        ('{"source": "street", "pair_id": 1}', "got 'street' and 1"),
        ('{"source": "user", "pair_id": 1, "item1": {"style": 1}}', "got item1 with KeyError"),
    ],
)
def test_a_damaged_annotation_is_named(deepfashion2, tmp_path, document, message):
    (deepfashion2 / "train" / "annos" / "000001.json").write_text(document)

    with pytest.raises(BadData, match=message):
        loaded("deepfashion2", deepfashion2, tmp_path)


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
    labels = set(image_set.labels[image_set.select(split=split)].tolist())
    return {image_set.class_names[label] for label in labels - {NO_CLASS}}


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
    with pytest.raises(BadData, match=r"annos must hold the annotations of DeepFashion2"):
        use_copy("deepfashion2", tmp_path, tmp_path / "cache")
    with pytest.raises(BadData, match=r"Ebay_train\.txt must be there, as it was published"):
        use_copy("sop", tmp_path, tmp_path / "cache")
