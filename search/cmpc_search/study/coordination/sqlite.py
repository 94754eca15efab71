"""The SQLite file of a study, opened such that several processes and `kill -9` do it no harm.

Write-ahead logging lets a reader and a writer work at once; with it, ``synchronous=NORMAL`` loses
nothing when a process dies (only a power cut may cost the last commits) and spares a disk flush
for each of a trial's forty parameters. WAL needs a file system of this machine, not NFS.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from sqlalchemy.exc import SQLAlchemyError

from cmpc_base.locks import PATIENCE_S, holder_of, waiting_notice
from cmpc_base.printable import one_line
from cmpc_base.progress import OnNotice
from cmpc_search.errors import BadRun, StudyUnavailable

__all__ = ["create_study", "load_study", "translated_errors", "wait_for_turn"]

STUDY_NAME = "cmpc"
LOCK_TIMEOUT_S = 60.0


@contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Turn what the database of ``path`` raises into what its user can do about it.

    Raises:
        StudyUnavailable: it is damaged, locked by another program, or can't be written.
    """
    try:
        yield
    except (sqlite3.Error, SQLAlchemyError, StorageInternalError) as error:
        raise StudyUnavailable(_advice(path, error)) from error


def wait_for_turn(path: Path, on_notice: OnNotice | None, *, to_write: bool = True) -> None:
    """Return when ``path`` may be written, or read; say who locks it when that takes seconds.

    Our own processes hold it for milliseconds, but a database browser may hold it for hours. The
    database itself would wait in silence.

    Raises:
        sqlite3.OperationalError: it is locked for longer than LOCK_TIMEOUT_S, or not writable.
    """
    begin = "BEGIN IMMEDIATE" if to_write else "SELECT 1 FROM sqlite_master"
    with closing(sqlite3.connect(path, timeout=PATIENCE_S, isolation_level=None)) as connection:
        try:
            connection.execute(begin)
        except sqlite3.OperationalError as error:
            if not _is_locked(error):
                raise
            if on_notice is not None:
                notice = waiting_notice(f"locks {path}", *_lock_files(path))
                on_notice(f"{notice}; this gives up after {LOCK_TIMEOUT_S:g} s")
            connection.execute(f"PRAGMA busy_timeout = {round(1000 * LOCK_TIMEOUT_S)}")
            connection.execute(begin)
        connection.rollback()


def create_study(path: Path) -> optuna.Study:
    """Open the study in ``path``, or begin it: reward up, cost down."""
    return optuna.create_study(
        storage=_storage(path),
        study_name=STUDY_NAME,
        directions=[StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE],
        load_if_exists=True,
    )


def load_study(path: Path, *, on_notice: OnNotice | None = None) -> optuna.Study:
    """Open the study in ``path``.

    Raises:
        BadRun: there is none.
        StudyUnavailable: it is damaged, or another program locks it.
    """
    if not path.is_file():
        raise BadRun(f"a search must have been started, got no study at {path}; run `cmpc search`")
    try:
        with translated_errors(path):
            wait_for_turn(path, on_notice, to_write=False)
            return optuna.load_study(storage=_storage(path), study_name=STUDY_NAME)
    except KeyError as error:
        raise BadRun(f"{path} must hold a study of cmpc, got none; run `cmpc search`") from error


def _storage(path: Path) -> RDBStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # its INFO lines would break our progress

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=LOCK_TIMEOUT_S, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    # The URL only picks the dialect: a path in it would need escaping twice.
    return RDBStorage("sqlite:///study.db", engine_kwargs={"creator": connect})


def _advice(path: Path, error: Exception) -> str:
    said = one_line(_root_of(error))
    if _is_locked(error):
        return (
            f"{path} must be free to be written, but {holder_of(*_lock_files(path))} has locked it "
            f"for {LOCK_TIMEOUT_S:g} s; end that and give the same command again: "
            "what was stored is kept"
        )
    if any(
        word in said for word in ("not a database", "malformed", "no such table", "no such col")
    ):
        return (
            f"{path} must hold the study of this run, and is damaged: {said}. Put a copy in its "
            "place, or begin again with `cmpc search --fresh`, which keeps the old run aside"
        )
    return f"{path} must be readable and writable, and the database says: {said}"


def _is_locked(error: Exception) -> bool:
    return "is locked" in str(_root_of(error))


def _root_of(error: BaseException) -> BaseException:
    """Return the database's own error, without what SQLAlchemy and Optuna put around it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _lock_files(path: Path) -> tuple[Path, Path]:
    # With write-ahead logging the lock of a writer is in the file beside.
    return path, path.with_name(f"{path.name}-shm")
