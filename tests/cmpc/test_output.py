"""Data are whole in a pipe, and a JSON document is one that any parser reads."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmpc.output import emit, make_table, plain, say

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@dataclass(frozen=True)
class Point:
    where: Path
    latency_ms: float


@settings(max_examples=50)
@given(TREES)
def test_every_tree_of_plain_values_becomes_strict_json(tree):
    document = plain(tree)

    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_records_paths_and_numpy_values_become_what_json_can_say():
    value = {"point": Point(Path("/runs/a"), float("nan")), "scores": np.array([0.5], np.float32)}

    assert plain(value) == {"point": {"where": "/runs/a", "latency_ms": None}, "scores": [0.5]}
    assert plain(np.int64(3)) == 3


def test_what_has_no_json_form_is_refused():
    with pytest.raises(TypeError, match="object"):
        plain(object())


def test_json_is_the_only_thing_on_stdout_and_names_its_schema(capsys):
    emit({"answer": 42}, make_table(["a"], [["b"]]), as_json=True)

    assert json.loads(capsys.readouterr().out) == {"schema_version": 1, "answer": 42}


def test_a_table_in_a_pipe_cuts_nothing_off(capsys):
    long_name = "openmoji/" + "x" * 300

    emit({}, make_table(["item", "score"], [[long_name, 0.123456]]), as_json=False)

    captured = capsys.readouterr()
    assert long_name in captured.out
    assert "0.1235" in captured.out
    assert captured.err == ""


def test_brackets_in_a_name_are_text_and_not_markup(capsys):
    emit({}, make_table(["item"], [["[red]apple[/red]"]]), as_json=False)

    assert "[red]apple[/red]" in capsys.readouterr().out


LATIN_1_NAME = os.fsdecode(b"caf\xe9.png")


def test_a_name_that_is_no_text_is_written_with_its_bytes_everywhere(capsys):
    emit({LATIN_1_NAME: Path(LATIN_1_NAME)}, None, as_json=True)
    emit({}, make_table([LATIN_1_NAME], [[LATIN_1_NAME]], title=LATIN_1_NAME), as_json=False)
    say(LATIN_1_NAME)

    captured = capsys.readouterr()
    assert r'"caf\\xe9.png": "caf\\xe9.png"' in captured.out
    assert captured.out.count(r"caf\xe9.png") == 3
    assert captured.err == "caf\\xe9.png\n"


def test_a_name_that_controls_a_terminal_is_shown_and_not_obeyed(capsys):
    name = "a\x1b[31m.png"

    emit({}, make_table([name], [[name]], title=name), as_json=False)
    say(name)
    emit({"name": name}, None, as_json=True)

    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err
    assert captured.out.count(r"a\x1b[31m.png") == 3
    assert json.loads(captured.out[captured.out.index("{") :])["name"] == name


def test_text_in_brackets_is_no_markup(capsys):
    emit({}, make_table(["[old]"], [["[red]a[/red]"]], title="photos [old]"), as_json=False)

    shown = capsys.readouterr().out
    assert all(text in shown for text in ("photos [old]", "[old]", "[red]a[/red]"))


def test_a_terminal_that_lacks_a_letter_shows_its_number():
    script = "from cmpc.output import *; emit({}, make_table(['a'], [['\u732b']]), as_json=False)"
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}

    run = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment)

    assert run.returncode == 0, run.stderr
    assert rb"\u732b" in run.stdout
