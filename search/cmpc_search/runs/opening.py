"""Begin a run, go on with one, look at one, or set one aside to begin again."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from cmpc_base.folders import check_new_or_empty
from cmpc_base.leftovers import sweep
from cmpc_base.locks import holder_of, is_held
from cmpc_base.names import few
from cmpc_search.errors import BadRun
from cmpc_search.runs.folder import RunFolder
from cmpc_search.runs.identity import (
    Identity,
    Meaning,
    check_same,
    read_identity,
    write_identity,
)

__all__ = ["open_run", "reopen_run", "set_aside"]


def open_run(
    path: Path,
    *,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Any],
    free: Collection[str] = (),
    meaning: Meaning = dict,
) -> RunFolder:
    """Make the run, or return the one in ``path`` if it was begun with the same.

    Args:
        settings: Everything that decides the result, nested as one likes, of JSON values.
        inputs: Hashes of the data, the gallery and whatever else is read.
        free: Settings that may change on the way, as dotted names such as "search.trials"; the new
            value is stored.
        meaning: Writes stored settings as one would today, such as a target by its own name where
            another name of it was stored. What it adds to them doesn't count.

    Raises:
        BadRun: other settings or inputs, a folder that is no run, or one whose study was lost.
    """
    run = RunFolder(path)
    identity = Identity.of_today(settings, inputs)
    if run.settings_path.exists():
        check_same(run.settings_path, identity, free, meaning)
        _check_study(run)
    else:
        check_new_or_empty(path, what="a run", error=BadRun)
    path.mkdir(parents=True, exist_ok=True)
    write_identity(run.settings_path, identity)  # first: a kill must leave no folder without it
    for folder in (run.supernet_path, run.candidates_path):
        folder.mkdir(exist_ok=True)
    trained = (*path.glob("pick/*/*"), *path.glob("finalists/*"))
    sweep(path, run.supernet_path, run.candidates_path, *trained)
    return run


def reopen_run(path: Path) -> RunFolder:
    """Return the run in ``path``, to read it or to work with its results.

    Raises:
        BadRun: there is none, or it was written by a newer cmpc.
    """
    run = RunFolder(path)
    if not run.settings_path.is_file():
        got = "a folder without settings.json" if path.is_dir() else "no such folder"
        raise BadRun(f"{path} must be a run, got {got}; see `cmpc search`")
    read_identity(run.settings_path)
    return run


def set_aside(path: Path) -> None:
    """Move what is in ``path``, if anything is, to ``path``.old-1 or the next free number.

    Raises:
        BadRun: somebody works on it.
    """
    if not path.exists():
        return
    if busy := _at_work(RunFolder(path)):
        raise BadRun(f"{path} must be idle to start it afresh, but {busy}; end that first")
    number = 1
    while (aside := path.with_name(f"{path.name}.old-{number}")).exists():
        number += 1
    path.rename(aside)


def _check_study(run: RunFolder) -> None:
    """A study that a kill left empty has no table of trials beside it yet: they come last."""
    is_empty = not run.study_path.exists() or run.study_path.stat().st_size == 0
    if is_empty and run.trials_path.exists():
        raise BadRun(
            f"{run.study_path} must hold the trials that {run.trials_path} lists, it is missing or "
            "empty; put it back, or begin again with `cmpc search --fresh`, which keeps the old "
            "run aside"
        )


def _at_work(run: RunFolder) -> str | None:
    """Say who works on the run; None where nobody does."""
    if workers := run.coordinator.live_workers():
        return f"{len(workers)} process(es) search in it: {few(workers)} (process number first)"
    for lock_path in (run.supernet_lock_path, run.train_lock_path):
        if is_held(lock_path):
            return f"{holder_of(lock_path)} trains in it"
    return None
