"""cmpc data: data on stdout, talk on stderr, errors with their exit code."""

import json
import shutil

import pytest
from click.testing import CliRunner, Result

from cmpc.cli import command_line
from cmpc_search.data import CATALOGUE
from cmpc_search.data.own_copies import keep_copy


def run(*words: object, cache_dir: object) -> Result:
    return CliRunner().invoke(
        command_line, ["data", *map(str, words), "--cache-dir", str(cache_dir)]
    )


@pytest.mark.slow
def test_the_list_says_what_is_prepared(tmp_path):
    before = json.loads(run("list", "--json", cache_dir=tmp_path).stdout)
    run("prepare", "emoji", "--size-px", 8, cache_dir=tmp_path)

    after = json.loads(run("list", "--json", cache_dir=tmp_path).stdout)

    sizes = [
        {entry["name"]: entry["prepared_sizes_px"] for entry in found["data_sets"]}
        for found in (before, after)
    ]
    assert sizes[0] == {name: [] for name in CATALOGUE}
    assert sizes[1]["emoji"] == [8]


def test_the_list_says_where_ones_own_copies_are(tmp_path):
    keep_copy("cub", tmp_path / "birds", tmp_path)

    found = json.loads(run("list", "--json", cache_dir=tmp_path).stdout)

    copies = {entry["name"]: entry["copy"] for entry in found["data_sets"]}
    assert (copies["cub"], copies["sop"]) == (str(tmp_path / "birds"), None)


def test_prepare_prints_the_splits_and_tells_the_drops(photos, tmp_path):
    (photos / "class00" / "0.png").write_bytes(b"broken")

    result = run("prepare", photos, "--json", cache_dir=tmp_path)

    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["num_images"] == 35
    assert told["splits"]["test"]["num_classes"] == 3
    assert told["drops"]["num_broken"] == 1
    assert [one["item_name"] for one in told["drops"]["items"]] == ["class00/0.png"]
    assert "1 images were left out: 1 broken" in result.stderr


def test_the_table_of_prepare_has_each_count_in_its_column(photos, tmp_path):
    [title, head, _, *rows] = run("prepare", photos, cache_dir=tmp_path).stdout.splitlines()

    # Twelve classes of three pictures, a third of which ask.
    assert title.endswith("36 images of 12 classes")
    assert head.split() == ["split", "classes", "queries", "gallery"]
    assert [row.split() for row in rows] == [
        ["train", "6", "6", "12"],
        ["validation", "3", "3", "6"],
        ["test", "3", "3", "6"],
    ]


def test_prepare_names_what_it_drops_and_what_it_passes_over(photos, tmp_path):
    for number in range(7):
        (photos / "class00" / f"broken{number}.png").write_bytes(b"no picture")
        (photos / "class01" / f"{number}.heic").write_bytes(b"no matter")
    (photos / "class02" / "new").mkdir()
    (photos / "class02" / "new" / "a.jpg").write_bytes(b"no matter")

    as_text = run("prepare", photos, cache_dir=tmp_path).stderr
    as_json = json.loads(run("prepare", photos, "--json", cache_dir=tmp_path).stdout)

    assert "class00/broken0.png: broken, " in as_text
    assert "broken6.png" not in as_text
    assert "and 2 more, which --json lists" in as_text
    assert "7 .heic files at depth 2: no suffix of a picture" in as_text
    assert "1 .jpg file at depth 3: in a folder inside a class folder" in as_text
    dropped = [drop["item_name"] for drop in as_json["drops"]["items"]]
    assert dropped == [f"class00/broken{number}.png" for number in range(7)]
    assert as_json["passed_over"][0] == {
        "reason": "suffix",
        "suffix": ".heic",
        "depth": 2,
        "count": 7,
        "example": "class01/0.heic",
        "is_all": True,
    }


def test_prepare_says_why_each_picture_is_left_out(photos, save_picture, tmp_path):
    shutil.copy(photos / "class00" / "0.png", photos / "class01" / "other.png")
    shutil.copy(photos / "class02" / "0.png", photos / "class02" / "copy.png")
    save_picture(photos / "alone" / "1.png", seed=500)

    told = run("prepare", photos, cache_dir=tmp_path).stderr

    assert "class00/0.png: has the pixels of class01/other.png, which is of another class" in told
    assert "class02/copy.png: has the pixels of class02/0.png, which stays" in told
    assert "alone/1.png: has no partner in its class, alone" in told


def test_prepare_says_what_it_passes_over_where_too_little_is_left(photos, tmp_path):
    for path in sorted(photos.glob("*/*.png"))[9:]:
        path.rename(path.with_suffix(".heic"))

    result = run("prepare", photos, cache_dir=tmp_path)

    assert result.exit_code == 1
    assert "27 .heic files at depth 2" in result.stderr
    assert "too small" in result.stderr


def test_show_writes_a_sheet(photos, tmp_path):
    out = tmp_path / "sheet.png"

    result = run(
        "show", photos, "--out", out, "--split", "test", "--count", 3, "--json", cache_dir=tmp_path
    )

    assert result.exit_code == 0, result.stderr
    assert out.read_bytes().startswith(b"\x89PNG")
    assert len(json.loads(result.stdout)["class_names"]) == 3


@pytest.mark.parametrize(
    ("name", "message"), [("emojii", "did you mean 'emoji'?"), ("gone.csv", "no data set")]
)
def test_an_unknown_set_is_a_usage_error(tmp_path, name, message):
    result = run("prepare", name, cache_dir=tmp_path)

    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
