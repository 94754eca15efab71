"""Where is machine code kept, and how long is it right?

Numba compiles a function again when the function's own file has changed. But what a function calls
becomes part of its code, from whichever file, so that after an update old and new would mix. Here
code is right as long as all the sources are the same: it is kept in a folder with their hash,

    <where Numba keeps the code of these files>/cmpc-<hash>/

that is below NUMBA_CACHE_DIR, else in __pycache__ beside the sources, else in the user's cache. Who
makes the folder removes those of other sources. Where none can be written nothing is kept: each
process compiles what it needs, which takes some ten seconds.
"""
# Numba has no stubs.
# mypy: ignore-errors

import shutil
from contextlib import suppress
from pathlib import Path

from numba import config
from numba.core import caching

from cmpc_base.hashing import document_hash, file_hash

__all__ = ["SOURCES", "keep_code"]

HERE = Path(__file__).parent
# All that compiled code is made of: a test holds that these files import no others of ours.
SOURCES = (*sorted(HERE.glob("*.py")), HERE.parent / "metrics.py", HERE.parent / "reference.py")
PREFIX = "cmpc-"
FOLDER = PREFIX + document_hash({p.name: file_hash(p) for p in SOURCES if p.is_file()})[:16]


def keep_code(dispatcher):
    """Let a function that Numba compiles keep its code from process to process; return it."""
    if not config.DISABLE_JIT:
        try:
            dispatcher._cache = _KeptCode(dispatcher.py_func)  # as Dispatcher.enable_caching does
        except RuntimeError:  # no folder can be written
            dispatcher._cache = caching.NullCache()
    return dispatcher


class _InFolder:
    """Numba's choice of a place, and the folder of these sources below it."""

    def get_cache_path(self):
        return str(Path(super().get_cache_path()) / FOLDER)

    def ensure_cache_path(self):
        folder = Path(self.get_cache_path())
        is_new = not folder.is_dir()
        super().ensure_cache_path()
        if is_new:
            remove_others(folder)


def remove_others(folder):
    """Remove what other sources left beside a folder; a process that still runs them does without.

    Until now Numba put its files there itself.
    """
    for path in folder.parent.glob(f"{PREFIX}*"):
        if path != folder:
            shutil.rmtree(path, ignore_errors=True)
    for path in folder.parent.glob("*.nb[ci]"):
        with suppress(OSError):
            path.unlink()


class _Code(caching.CompileResultCacheImpl):
    """How code is written and read: as Numba does it."""

    _locator_classes = tuple(
        type(locator.__name__, (_InFolder, locator), {})
        for locator in (
            caching.UserProvidedCacheLocator,
            caching.InTreeCacheLocator,
            caching.UserWideCacheLocator,
        )
    )


class _KeptCode(caching.FunctionCache):
    """A function's code on disk. Where that can't be read or written any more, life goes on."""

    _impl_class = _Code

    def load_overload(self, sig, target_context):
        with suppress(OSError):
            return super().load_overload(sig, target_context)

    def save_overload(self, sig, data):
        with suppress(OSError):
            super().save_overload(sig, data)
