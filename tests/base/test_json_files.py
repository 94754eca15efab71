"""A JSON document comes back as it was written, or the error says what stands there instead."""

from dataclasses import dataclass

import pytest

from cmpc_base.errors import BadArgument, BadFile
from cmpc_base.json_files import known_fields, read_json, write_json


def test_a_document_comes_back(tmp_path):
    document = {"name": "é", "values": [1, 0.5, None]}
    write_json(tmp_path / "made" / "file.json", document)

    assert read_json(tmp_path / "made" / "file.json") == document


def test_what_json_has_no_word_for_is_refused_and_the_old_document_stays(tmp_path):
    write_json(tmp_path / "file.json", {})

    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file.json", {"latency_ms": float("nan")})
    assert read_json(tmp_path / "file.json") == {}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        *((content, "readable JSON") for content in (b"", b"{", b"\0", b"\xff", b"[" * 100_000)),
        (b"[1]", "a JSON object, got list"),
    ],
    ids=["empty", "cut off", "zero", "no UTF-8", "deep", "list"],
)
def test_what_is_no_object_is_told_in_the_callers_error(tmp_path, content, told):
    path = tmp_path / "file.json"
    path.write_bytes(content)

    with pytest.raises(BadFile, match=rf"file\.json must .*{told}"):
        read_json(path)
    with pytest.raises(BadArgument, match="No such file"):
        read_json(tmp_path / "nowhere", error=BadArgument)


def test_a_byte_order_mark_is_no_part_of_a_document(tmp_path):
    (tmp_path / "file.json").write_text('\ufeff{"a": 1}', encoding="utf-8")

    assert read_json(tmp_path / "file.json") == {"a": 1}


@dataclass
class Record:
    name: str
    size: int = 1


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({}, r"needs the field \['name'\]"),
        ({"name": "", "sizes": 1}, r"no field \['sizes'\]"),
        ([], "object with fields"),
    ],
)
def test_fields_that_are_missing_or_unknown_are_named(document, told):
    assert known_fields(Record, {"name": "a"}) == {"name": "a"}
    with pytest.raises(BadArgument, match=told):
        known_fields(Record, document)
