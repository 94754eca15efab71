"""Which schedules were tried for each workload, and which one is to be used? One SQLite file.

    <schedules>/<cpu>-<hash of target, kernel code and versions>.db
      workload        what was tuned, with the sizes that tell which workloads are alike
      tuning_record   every schedule that was tried: its time on a processor, or why it has none
      best            of each workload, the schedule that beat the others by more than the noise

All candidates and runs of a target share the file, and several processes may write it at once.
Write-ahead logging and immediate transactions make every commit whole: `kill -9` costs at most the
one that was under way. WAL needs a file system of this machine, not NFS. Another target or another
version of the compiler has another file, so nothing is ever read that was measured on other code.

The words are those of TVM's MetaSchedule: https://tvm.apache.org/docs (meta_schedule.Database).
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

from cmpc_base.closeable import Closeable
from cmpc_base.errors import CmpcError, MachineFault
from cmpc_base.folders import scratch_folder
from cmpc_base.hashing import document_hash
from cmpc_cost_models.errors import BadScheduleDatabase
from cmpc_cost_models.identity import code_document, key_of
from cmpc_cost_models.schedules.records import (
    COLUMNS,
    FIELDS,
    TuningRecord,
    as_record,
    as_row,
    schedule_text,
)
from cmpc_cost_models.schedules.schedule import Schedule
from cmpc_cost_models.targets.target import Target

__all__ = ["ScheduleDatabase", "database_path", "state_of"]

SCHEMA_VERSION = 2
# Of SQLite's codes: a read-only or full disk says nothing of the file.
REFUSALS = ("SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_PERM", "SQLITE_READONLY")
LOCK_TIMEOUT_S = 60.0
NAME_DIGITS = 12

TABLES = """
CREATE TABLE workload (
    key TEXT PRIMARY KEY, features TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE tuning_record (
    workload TEXT NOT NULL, cpu_model TEXT NOT NULL, schedule TEXT NOT NULL,
    median_us REAL, spread_us REAL, num_repeats INTEGER NOT NULL, rule_us REAL, error TEXT,
    machine TEXT NOT NULL, measured_at TEXT NOT NULL,
    PRIMARY KEY (workload, cpu_model, schedule)
) WITHOUT ROWID;
CREATE TABLE best (
    workload TEXT NOT NULL, cpu_model TEXT NOT NULL, schedule TEXT NOT NULL,
    PRIMARY KEY (workload, cpu_model)
) WITHOUT ROWID;
"""


def database_path(schedules_dir: Path, target: Target) -> Path:
    """Return where the schedules of ``target``, as compiled by this installation, are kept."""
    key = key_of(_what_decides(target))[:NAME_DIGITS]
    return schedules_dir / f"{target.cpu}-{key}.db"


class ScheduleDatabase(Closeable):
    """The open file; close it, or use it as a context.

        with ScheduleDatabase.open(schedules_dir, target) as database:
            best = database.best(workload.key)

    Raises:
        BadScheduleDatabase: in every method, if the file is damaged or of another version.
        MachineFault: likewise, if the machine refuses to read or write there.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def open(cls, schedules_dir: Path, target: Target) -> Self:
        """Open the database of ``target``, or begin it."""
        path = database_path(schedules_dir, target)
        if not path.exists():
            _create(path, _identity(target))
        database = cls(path, _connect(path))
        try:
            database._check_identity(_identity(target))
        except CmpcError:
            database.close()
            raise
        return database

    def close(self) -> None:
        self._connection.close()

    def commit_workload(self, key: str, features: str) -> None:
        """Keep what tells how much a workload is like others, as ``similar`` writes it."""
        with self._transaction("IMMEDIATE") as connection:
            connection.execute("INSERT OR IGNORE INTO workload VALUES (?, ?)", (key, features))

    def commit(
        self,
        records: Sequence[TuningRecord],
        *,
        best: Schedule | None = None,
        instead_of: Schedule | None = None,
    ) -> bool:
        """Keep records of one workload and processor; make one the schedule to use, at once.

        A later timing of a schedule takes the place of its record. Two processes may tune one
        workload: what beat a schedule that was meanwhile replaced has not beaten its successor,
        so ``best`` is taken only where it replaces ``instead_of``. Returns whether it was.
        """
        with self._transaction("IMMEDIATE") as connection:
            marks = ", ".join("?" * len(FIELDS))
            connection.executemany(
                f"INSERT OR REPLACE INTO tuning_record ({COLUMNS}) VALUES ({marks})",
                [as_row(one) for one in records],
            )
            if best is None:
                return False
            key, cpu_model = records[0].workload_key, records[0].cpu_model
            select = "SELECT schedule FROM best WHERE workload = ? AND cpu_model = ?"
            found = connection.execute(select, (key, cpu_model)).fetchone()
            if (found and found[0]) != (instead_of and schedule_text(instead_of)):
                return False
            connection.execute(
                "INSERT OR REPLACE INTO best VALUES (?, ?, ?)",
                (key, cpu_model, schedule_text(best)),
            )
            return True

    def best(self, workload_key: str, cpu_model: str = "") -> TuningRecord | None:
        """Return the record of the schedule to use on a processor, ``None`` if none was tuned."""
        found = self._records(
            "JOIN best USING (workload, cpu_model, schedule) WHERE workload = ? AND cpu_model = ?",
            workload_key,
            cpu_model,
        )
        return found[0] if found else None

    def all_best(self) -> list[TuningRecord]:
        """Return the record to use of every workload, on each processor that was tuned on."""
        join = "JOIN best USING (workload, cpu_model, schedule)"
        return self._records(f"{join} ORDER BY workload, cpu_model")

    def tried(self, workload_key: str, cpu_model: str | None = None) -> list[TuningRecord]:
        """Return a workload's records, of all processors or one, fastest first, failures last."""
        return self._records(
            "WHERE workload = ?1 AND (?2 IS NULL OR cpu_model = ?2) "
            "ORDER BY median_us IS NULL, median_us, schedule",
            workload_key,
            cpu_model,
        )

    def features(self) -> dict[str, str]:
        """Return what ``commit_workload`` kept, by workload."""
        with self._transaction() as connection:
            return dict(connection.execute("SELECT key, features FROM workload ORDER BY key"))

    def state_sha256(self) -> str:
        """Return a hash that changes exactly when another schedule is to be used somewhere."""
        return state_of(self.all_best())

    def _records(self, condition: str, *values: str | None) -> list[TuningRecord]:
        with self._transaction() as connection:
            rows = connection.execute(f"SELECT {COLUMNS} FROM tuning_record {condition}", values)
            return [as_record(row) for row in rows]

    def _check_identity(self, identity: str) -> None:
        with self._transaction() as connection:
            [version] = connection.execute("PRAGMA user_version").fetchone()
            found = (
                version == SCHEMA_VERSION
                and connection.execute("SELECT identity FROM made_for").fetchone()
            )
        if found != (identity,):
            raise BadScheduleDatabase(
                f"{self.path} must be a schedule database of layout {SCHEMA_VERSION} for its "
                f"target, got layout {version}; move it away and `cmpc tune` begins another"
            )

    @contextmanager
    def _transaction(self, kind: str = "DEFERRED") -> Iterator[sqlite3.Connection]:
        """Begin and end a transaction; tell of a damaged file in our words.

        Those that write are ``IMMEDIATE``: one that reads first and writes later could not wait
        for another writer.
        """
        try:
            self._connection.execute("PRAGMA synchronous=NORMAL")  # enough with WAL
            self._connection.execute(f"BEGIN {kind}")
            with self._connection:  # commits, or rolls back if the body raises
                yield self._connection
        except (sqlite3.DatabaseError, ValueError, KeyError, TypeError) as error:
            if getattr(error, "sqlite_errorname", "").startswith(REFUSALS):
                raise MachineFault(
                    f"{self.path} must lie where files can be read and written, also beside it, "
                    f"and the machine refuses ({error}); give another --cache-dir"
                ) from error
            raise BadScheduleDatabase(
                f"{self.path} must be a whole schedule database, and reading it fails ({error}); "
                "move it away and `cmpc tune` begins another"
            ) from error


def state_of(records: Sequence[TuningRecord], cpu_model: str | None = None) -> str:
    """Return ``state_sha256`` of a database whose best records are these.

    Args:
        cpu_model: For which processor they are asked; by default each for its own.
    """
    chosen = sorted(
        (one.workload_key, schedule_text(one.schedule), cpu_model in (None, one.cpu_model))
        for one in records
    )
    return document_hash(chosen)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=LOCK_TIMEOUT_S, isolation_level=None)


def _create(path: Path, identity: str) -> None:
    """Put a whole empty database at ``path``, unless another process was faster."""
    with scratch_folder(path) as folder:
        draft = folder / "draft.db"
        with closing(_connect(draft)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # the file remembers
            connection.executescript(TABLES)
            connection.execute("CREATE TABLE made_for (identity TEXT)")
            connection.execute("INSERT INTO made_for VALUES (?)", (identity,))
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        try:
            os.link(draft, path)
        except FileExistsError:
            return


def _identity(target: Target) -> str:
    return json.dumps(_what_decides(target), sort_keys=True)


def _what_decides(target: Target) -> dict[str, Any]:
    """Return all that decides which code a schedule becomes.

    Of our own code only what writes a kernel's loops, so that records outlive changes of planning
    or compiling.
    """
    below = ("kernels.", "plans.", "schedules.")
    document = code_document("kernels.code", target, below=below)
    return document | {"layout": SCHEMA_VERSION}
