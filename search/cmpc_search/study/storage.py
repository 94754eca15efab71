"""The SQLite file of a study, opened such that several processes and `kill -9` do it no harm.

Write-ahead logging lets a reader and a writer work at once; with it, ``synchronous=NORMAL`` loses
nothing when a process dies (only a power cut may cost the last commits) and spares a disk flush
for each of a trial's forty parameters. WAL needs a file system of this machine, not NFS.
"""

import sqlite3
from pathlib import Path

import optuna
from optuna.storages import RDBStorage
from optuna.study import StudyDirection

from cmpc_search.errors import BadRun

__all__ = ["create_study", "load_study"]

STUDY_NAME = "cmpc"
LOCK_TIMEOUT_S = 60.0


def create_study(path: Path) -> optuna.Study:
    """Open the study in ``path``, or begin it: reward up, cost down."""
    return optuna.create_study(
        storage=_storage(path),
        study_name=STUDY_NAME,
        directions=[StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE],
        load_if_exists=True,
    )


def load_study(path: Path) -> optuna.Study:
    """Open the study in ``path``.

    Raises:
        BadRun: there is none.
    """
    if not path.is_file():
        raise BadRun(f"a search must have been started, got no study at {path}; run `cmpc search`")
    try:
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
