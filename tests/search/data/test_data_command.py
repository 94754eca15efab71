"""cmpc data: data on stdout, talk on stderr, errors with their exit code."""

import json

import pytest
from click.testing import CliRunner, Result

from cmpc.cli import command_line


def run(*words: object, cache_dir: object) -> Result:
    return CliRunner().invoke(
        command_line, ["data", *map(str, words), "--cache-dir", str(cache_dir)]
    )


def test_the_list_says_what_is_prepared(tmp_path):
    before = json.loads(run("list", "--json", cache_dir=tmp_path).stdout)
    run("prepare", "emoji", "--size-px", 8, cache_dir=tmp_path)

    after = json.loads(run("list", "--json", cache_dir=tmp_path).stdout)

    sizes = [
        {entry["name"]: entry["prepared_sizes_px"] for entry in found["data_sets"]}
        for found in (before, after)
    ]
    assert sizes[0] == {"emoji": [], "emoji9": [], "fashion-mnist": []}
    assert sizes[1]["emoji"] == [8]


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


def test_show_writes_a_sheet(photos, tmp_path):
    out = tmp_path / "sheet.png"

    result = run(
        "show", photos, "--out", out, "--split", "test", "--count", 3, "--json", cache_dir=tmp_path
    )

    assert result.exit_code == 0, result.stderr
    assert out.read_bytes().startswith(b"\x89PNG")
    assert len(json.loads(result.stdout)["class_names"]) == 3


@pytest.mark.parametrize(
    ("name", "message"), [("emojii", "did you mean emoji"), ("gone.csv", "no data set")]
)
def test_an_unknown_set_is_a_usage_error(tmp_path, name, message):
    result = run("prepare", name, cache_dir=tmp_path)

    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
