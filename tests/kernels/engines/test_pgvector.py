"""A gallery in a table of PostgreSQL with pgvector.

CMPC_TEST_PGVECTOR names a database, as libpq takes it, where a schema may be made and lost:
"host=/tmp port=5432 user=postgres".
"""

import os

import numpy as np
import pytest

from cmpc_kernels import BadArgument, EngineFault, GalleryIndex, pgvector_contract, to_pgvector

psycopg = pytest.importorskip("psycopg", reason="needs the extra `pgvector`")
pytest.importorskip("pgvector", reason="needs the extra `pgvector`")
SCHEMA = "cmpc test"
TABLE = f"{SCHEMA}.Shop"
QUOTED = f'"{SCHEMA}"."Shop"'


@pytest.fixture
def connection():
    if (named := os.environ.get("CMPC_TEST_PGVECTOR")) is None:
        pytest.skip("needs PostgreSQL with pgvector, named by CMPC_TEST_PGVECTOR")
    with psycopg.connect(named, autocommit=True) as opened:
        opened.execute("create extension if not exists vector")
        opened.execute(f'drop schema if exists "{SCHEMA}" cascade; create schema "{SCHEMA}"')
        yield opened
        opened.execute(f'drop schema if exists "{SCHEMA}" cascade')


def as_text(rows):
    return str(rows.tolist())


def test_a_table_answers_as_the_index_and_tells_its_contract(connection, shop, rng):
    to_pgvector(shop, connection, TABLE)

    query = rng.standard_normal(6).astype(np.float32)
    found = connection.execute(
        f"select id, name, label, 1 - (embedding <=> %s::vector) from {QUOTED} "
        "order by embedding <=> %s::vector limit 4",
        [as_text(query)] * 2,
    ).fetchall()
    expected = shop.search(query[np.newaxis] / np.linalg.norm(query), 4)
    assert [row[0] for row in found] == expected.ids[0].tolist()
    np.testing.assert_allclose([row[3] for row in found], expected.scores[0], atol=1e-5)
    assert found[0][1:3] == (f"näme/{found[0][0]}", found[0][0] % 5)
    assert pgvector_contract(connection, TABLE) == shop.query_contract()


@pytest.mark.parametrize(
    ("metric", "score"), [("ip", "-(embedding <#> {})"), ("l2", "(embedding <-> {}) ^ 2")]
)
def test_rows_keep_every_bit_and_scores_are_those_that_the_page_tells(
    connection, rng, metric, score
):
    rows = rng.standard_normal((20, 6), dtype=np.float32) * np.float32(1e-30)
    rows[10:] *= np.float32(1e30)
    index = GalleryIndex.build(rows, metric)
    to_pgvector(index, connection, TABLE)

    texts = connection.execute(f"select embedding::text from {QUOTED} order by id").fetchall()
    stored = np.array([text[0].strip("[]").split(",") for text in texts], np.float32)
    np.testing.assert_array_equal(stored, rows)
    query = rng.standard_normal(6).astype(np.float32)
    told = score.format("%s::vector")
    found = connection.execute(f"select {told} from {QUOTED} order by id", [as_text(query)])
    by_id = [row[0] for row in found.fetchall()]
    best = index.search(query[np.newaxis], 3)
    np.testing.assert_allclose([by_id[n] for n in best.ids[0]], best.scores[0], rtol=1e-4)


def test_it_is_brought_up_to_date_by_ids_and_unchanged_rows_stay(connection, shop):
    to_pgvector(shop, connection, TABLE)
    at = f"select id, xmin::text from {QUOTED}"
    before = dict(connection.execute(at).fetchall())
    connection.execute(f"update {QUOTED} set name = 'another' where id = 5")
    shop.remove([0, 31])

    to_pgvector(shop, connection, TABLE)

    after = dict(connection.execute(at).fetchall())
    assert sorted(after) == shop.ids.tolist()
    assert {item for item in after if after[item] != before[item]} == {5}
    named = connection.execute(f"select name from {QUOTED} where id = 5").fetchone()
    assert named == ("näme/5",)


def test_a_table_of_another_gallery_or_of_somebody_else_is_left_alone(connection, shop):
    to_pgvector(shop, connection, TABLE)
    with pytest.raises(BadArgument, match="choose another name"):
        to_pgvector(GalleryIndex.build(np.eye(6, dtype=np.float32)), connection, TABLE)
    assert connection.execute(f"select count(*) from {QUOTED}").fetchone() == (30,)

    connection.execute(f'create table "{SCHEMA}".other (id int)')
    with pytest.raises(BadArgument, match="must say what its queries must be"):
        to_pgvector(shop, connection, f"{SCHEMA}.other")


def test_others_see_the_gallery_of_before_until_all_is_there(connection, shop):
    to_pgvector(shop, connection, TABLE)
    shop.remove([0])
    with (
        psycopg.connect(os.environ["CMPC_TEST_PGVECTOR"], autocommit=True) as other,
        connection.transaction(),
    ):
        to_pgvector(shop, connection, TABLE)
        assert other.execute(f"select count(*) from {QUOTED}").fetchone() == (30,)
    assert connection.execute(f"select count(*) from {QUOTED}").fetchone() == (29,)


def test_what_the_server_refuses_is_told_in_a_line(connection, shop):
    with pytest.raises(EngineFault, match="does not exist"):
        to_pgvector(shop, connection, "nowhere.shop")
