"""A clone of GroceryStoreDataset, made small: its lists are read as they were published."""

import pytest
from click.testing import CliRunner

from cmpc.cli import command_line
from cmpc_search.data import load_image_set
from cmpc_search.data.fetching import Fetcher
from cmpc_search.data.sources.catalogue import find_source, use_copy
from cmpc_search.data.sources.grocery import GrocerySource
from cmpc_search.errors import BadArgument, BadData
from cmpc_search.testing.sources import SourceContract

CLASSES = ("Lime", "Lemon", "Oatly-Oat-Milk", "Leek", "Garlic", "Plum", "Kiwi", "Mango")
HEADER = (
    "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int),"
    "Iconic Image Path (str),Product Description Path (str)"
)


@pytest.fixture
def clone(tmp_path, save_picture):
    """Eight products with a catalogue picture and a photograph in each published split."""
    dataset = tmp_path / "clone" / "dataset"
    rows, lists = [HEADER], {"train": [], "val": [], "test": []}
    for number, name in enumerate(CLASSES):
        iconic = f"iconic-images-and-descriptions/Food/{name}/{name}_Iconic.jpg"
        save_picture(dataset / iconic, seed=4 * number)
        rows.append(f"{name},{number},Food,0,/{iconic},/no/description.txt")
        for place, (split, lines) in enumerate(lists.items(), start=1):
            path = f"{split}/Food/{name}/{name}_001.jpg"
            save_picture(dataset / path, seed=4 * number + place)
            lines.append(f"{path}, {number}, 0")
    (dataset / "classes.csv").write_text("\n".join(rows) + "\n")
    for split, lines in lists.items():
        (dataset / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return dataset.parent


class TestGrocery(SourceContract):
    @pytest.fixture
    def make_source(self, clone):
        return lambda: GrocerySource(clone)


def test_published_test_photographs_ask_and_catalogue_and_other_photographs_answer(clone):
    pictures = GrocerySource(clone).pictures()

    of_leek = {
        picture.item_name.split("/")[0]: picture.role
        for picture in pictures
        if picture.class_name == "Leek"
    }
    assert of_leek == {
        "iconic-images-and-descriptions": "gallery",
        "train": "gallery",
        "val": "gallery",
        "test": "query",
    }
    assert len(pictures) == 4 * len(CLASSES)


def test_the_place_is_told_once_and_classes_are_in_one_split_each(clone, tmp_path):
    cache_dir = tmp_path / "cache"

    use_copy("grocery", clone, cache_dir)
    image_set = load_image_set("grocery", size_px=8, cache_dir=cache_dir)

    assert image_set.is_open_set
    assert image_set.num_classes == len(CLASSES)
    inner = GrocerySource(clone / "dataset").pictures()
    assert [one.item_name for one in inner] == list(image_set.item_names)


def test_without_a_place_the_error_says_how_to_tell_it(tmp_path):
    with pytest.raises(BadArgument, match=r"cmpc data prepare grocery --from FOLDER"):
        find_source("grocery", Fetcher(tmp_path))


def test_a_place_that_is_gone_is_named(clone, tmp_path):
    use_copy("grocery", clone, tmp_path / "cache")
    clone.rename(tmp_path / "elsewhere")

    with pytest.raises(BadArgument, match=r"must be in .*clone, which is no folder"):
        find_source("grocery", Fetcher(tmp_path / "cache"))


def test_a_folder_that_is_no_clone_is_not_remembered(tmp_path):
    (tmp_path / "other").mkdir()

    with pytest.raises(BadData, match=r"must be a clone .* no classes\.csv; .*git clone"):
        use_copy("grocery", tmp_path / "other", tmp_path)
    with pytest.raises(BadArgument, match="is read from a copy of your own"):
        find_source("grocery", Fetcher(tmp_path))


def test_only_data_of_ones_own_have_a_place(clone, tmp_path):
    with pytest.raises(BadArgument, match="emoji is fetched"):
        use_copy("emoji", clone, tmp_path)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("train.txt", "train/x.jpg, 99, 0", r"line 9 of .*train\.txt must be .* got 'train/x"),
        ("val.txt", "val/x.jpg, 1", r"line 9 of .*val\.txt must be a path, a class"),
        ("test.txt", "test/gone.jpg, 1, 0", r"must be there, 1 of 33 are not, .*test/gone\.jpg"),
    ],
)
def test_a_mistake_in_a_list_is_named(clone, name, line, message):
    with (clone / "dataset" / name).open("a") as file:
        file.write(line + "\n")

    with pytest.raises(BadData, match=message):
        GrocerySource(clone).version()


def test_a_table_without_its_columns_is_refused(clone):
    (clone / "dataset" / "classes.csv").write_text("name,id\nLime,0\n")

    with pytest.raises(BadData, match=r"classes\.csv must name the columns Class Name \(str\)"):
        GrocerySource(clone).version()


def test_the_command_prepares_a_clone_and_later_ones_know_it(clone, tmp_path):
    def run(*words):
        options = ["--size-px", "8", "--cache-dir", str(tmp_path / "cache")]
        return CliRunner().invoke(command_line, ["data", *map(str, words), *options])

    first = run("prepare", "grocery", "--from", clone)
    second = run("prepare", "grocery")

    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr + second.stderr
    assert first.stdout == second.stdout
    assert "32 images of 8 classes" in first.stdout
