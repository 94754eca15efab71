"""`cmpc index to-lance`, `to-qdrant`, `to-pgvector` and back, and what is said of faults."""

import json
import os
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from cmpc.cli import command_line
from cmpc_kernels import GalleryIndex


def invoke(*arguments):
    return CliRunner().invoke(command_line, ["index", *map(str, arguments)])


@pytest.fixture
def shop(tmp_path):
    """The path of a saved index."""
    rows = np.random.default_rng(7).standard_normal((60, 16)).astype(np.float32)
    names = [f"item/{n}" for n in range(60)]
    GalleryIndex.build(rows, "cosine", item_names=names, network_sha256="ab" * 32).save(
        tmp_path / "shop.index"
    )
    return tmp_path / "shop.index"


def test_an_index_goes_to_lance_and_back(shop, tmp_path):
    pytest.importorskip("lance", reason="needs the extra `lance`")

    out = invoke("to-lance", shop, tmp_path / "shop.lance", "--json")
    back = invoke("from-lance", tmp_path / "shop.lance", tmp_path / "new" / "back.index", "--json")

    assert (out.exit_code, back.exit_code) == (0, 0), out.stderr + back.stderr
    told, index = json.loads(out.stdout), GalleryIndex.load(shop)
    assert (told["num_items"], told["query_contract"]) == (60, index.query_contract().to_json())
    found = GalleryIndex.load(tmp_path / "new" / "back.index")
    assert found.query_contract() == index.query_contract()
    np.testing.assert_array_equal(found.rows, index.rows)


def test_an_index_goes_to_a_table(shop):
    psycopg = pytest.importorskip("psycopg", reason="needs the extra `pgvector`")
    if (database := os.environ.get("CMPC_TEST_PGVECTOR")) is None:
        pytest.skip("needs PostgreSQL with pgvector, named by CMPC_TEST_PGVECTOR")

    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("drop table if exists cmpc_test_command")
        told = invoke("to-pgvector", shop, "cmpc_test_command", "--database", database, "--json")
        count = connection.execute("select count(name) from cmpc_test_command").fetchone()
        connection.execute("drop table cmpc_test_command")

    assert told.exit_code == 0, told.stderr
    assert (json.loads(told.stdout)["num_items"], count) == (60, (60,))


@pytest.mark.parametrize("database", ["host=127.0.0.1 password=secret", "postgres://a:secret@b/c"])
def test_a_password_is_no_word_of_a_command(database, shop):
    pytest.importorskip("psycopg", reason="needs the extra `pgvector`")

    result = invoke("to-pgvector", shop, "shop", "--database", database)

    assert (result.exit_code, "set PGPASSWORD" in result.stderr) == (2, True)
    assert "secret" not in result.output


@pytest.mark.parametrize(
    ("library", "command"),
    [
        ("psycopg", ("to-pgvector", "shop", "--database", "host=127.0.0.1 port=9")),
        ("qdrant_client", ("to-qdrant", "shop", "--url", "http://127.0.0.1:9")),
    ],
)
def test_a_server_that_is_not_there_is_told_in_one_line(library, command, shop):
    pytest.importorskip(library)
    name, *rest = command

    result = invoke(name, shop, *rest)

    assert (result.exit_code, "must be there" in result.stderr) == (1, True)
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("library", "command"),
    [("lance", "to-lance"), ("qdrant_client", "to-qdrant"), ("psycopg", "to-pgvector")],
)
def test_without_the_library_its_extra_is_named(library, command, shop, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)

    result = invoke(command, shop, "shop")

    assert (result.exit_code, "pip install 'cmpc[" in result.stderr) == (2, True)
