"""Export a gallery to a table of PostgreSQL with pgvector, by ids.

    id bigint primary key | name text | label bigint | embedding vector(D)

The table's comment names the query contract. Operators: "cosine" is ``<=>``, which tells one minus
our score, "ip" is ``<#>``, which tells minus our score, and "l2" is ``<->``, whose square is our
score. The connection is one of psycopg's, which like pgvector is an extra: ``pip install
"cmpc[pgvector]"``; where the server is and how it lets one in, libpq knows (``PGHOST``,
``PGPASSWORD``, ``~/.pgpass``).
"""

from typing import Any

from cmpc_kernels.engines.travelling import (
    check_replaceable,
    check_travels,
    contract_in,
    contract_text,
    load_library,
    pieces_of,
    told_by,
)
from cmpc_kernels.errors import BadArgument
from cmpc_kernels.gallery.index import GalleryIndex
from cmpc_kernels.gallery.quantizer import QueryContract
from cmpc_kernels.gallery.shards import ShardedIndex

__all__ = ["open_pgvector", "pgvector_contract", "to_pgvector"]

CREATE = """
create table {table} (
    id bigint primary key, name text, label bigint, embedding vector({dimension}) not null
)"""
INCOMING = "create temporary table incoming (like {table}) on commit drop"
COPY = "copy incoming (id, name, label, embedding) from stdin with (format binary)"
DELETE = "delete from {table} as old where not exists (select from incoming where id = old.id)"
UPSERT = """
insert into {table} as old select * from incoming on conflict (id) do update
set name = excluded.name, label = excluded.label, embedding = excluded.embedding
where (old.name, old.label, old.embedding)
    is distinct from (excluded.name, excluded.label, excluded.embedding)"""


def open_pgvector(database: str) -> Any:
    """Return a connection: to a URL or in words of libpq, which takes the rest from ``PG...``.

    Raises:
        BadArgument: it has a password, which other users of the machine would see.
        EngineFault: PostgreSQL can't be reached, or lets nobody in.
        MissingLibrary: psycopg is not installed.
    """
    psycopg = load_library("psycopg", "PostgreSQL")
    with told_by("PostgreSQL", psycopg.Error):
        if "password" in psycopg.conninfo.conninfo_to_dict(database):
            raise BadArgument(
                "a password must not be in the name of a database, where others see it; set "
                "PGPASSWORD, or write it into ~/.pgpass"
            )
        return psycopg.connect(database, autocommit=True)


def to_pgvector(index: GalleryIndex | ShardedIndex, connection: Any, table: str) -> None:
    """Make a table, ``name`` or ``schema.name``, hold the items of an index and no others.

    All in one transaction; rows that are as they were stay untouched, and so do the table's own
    indexes. It is made if it is not there, without an index: ``create index on shop using hnsw
    (embedding vector_cosine_ops)`` makes one.

    Raises:
        BadArgument: the index keeps codes only, a name is no text, or the table is not for the
            queries of this index.
        EngineFault: PostgreSQL refuses, or has no pgvector.
        MissingLibrary: psycopg or pgvector is not installed.
    """
    psycopg = load_library("psycopg", "PostgreSQL")
    library = load_library("pgvector.psycopg", "PostgreSQL")
    check_travels(index)
    with told_by(f"the table {table}", psycopg.Error), connection.transaction():
        run = _Runner(connection, table)
        run("create extension if not exists vector")
        library.register_vector(connection)
        if not _is_there(connection, run.name):
            run(CREATE, dimension=index.dimension)
            run("comment on table {table} is {contract}", contract=contract_text(index))
        check_replaceable(pgvector_contract(connection, table), index, table)
        run(INCOMING)
        with connection.cursor() as cursor, cursor.copy(COPY) as copy:
            copy.set_types(["int8", "text", "int8", "vector"])
            for piece in pieces_of(index):
                empty = [None] * len(piece.ids)
                labels = empty if piece.labels is None else piece.labels.tolist()
                names = empty if piece.names is None else piece.names
                for item in zip(piece.ids.tolist(), names, labels, piece.rows, strict=True):
                    copy.write_row(item)
        run(DELETE)
        run(UPSERT)


def pgvector_contract(connection: Any, table: str) -> QueryContract:
    """Return what the queries of a table must be.

    Raises:
        BadArgument: it does not say.
    """
    quoted = _quoted(table).as_string(connection)
    row = connection.execute(
        "select obj_description(to_regclass(%s), 'pg_class')", [quoted]
    ).fetchone()
    return contract_in(row[0], f"the table {table}")


class _Runner:
    """Runs statements in which ``{table}`` is the table and other names are values."""

    def __init__(self, connection: Any, table: str) -> None:
        self.connection, self.table = connection, _quoted(table)
        self.name = self.table.as_string(connection)

    def __call__(self, statement: str, **values: object) -> None:
        sql = load_library("psycopg.sql", "PostgreSQL")
        literals = {name: sql.Literal(value) for name, value in values.items()}
        self.connection.execute(sql.SQL(statement).format(table=self.table, **literals))


def _is_there(connection: Any, name: str) -> bool:
    row = connection.execute("select to_regclass(%s) is not null", [name]).fetchone()
    return bool(row[0])


def _quoted(table: str) -> Any:
    sql = load_library("psycopg.sql", "PostgreSQL")
    return sql.Identifier(*table.split(".", 1))
