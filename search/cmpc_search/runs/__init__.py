"""Run folders: what a search leaves on disk, and how it is found again. Light to import."""

from cmpc_search.runs.folder import RunFolder
from cmpc_search.runs.manifest import note_session
from cmpc_search.runs.opening import open_run, reopen_run, set_aside
from cmpc_search.runs.results import read_pick, write_front, write_pick, write_trials

__all__ = [
    "RunFolder",
    "note_session",
    "open_run",
    "read_pick",
    "reopen_run",
    "set_aside",
    "write_front",
    "write_pick",
    "write_trials",
]
