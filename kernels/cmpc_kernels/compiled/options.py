"""How the loops are compiled.

A first search waits for the compiler, so it is given little to do. Its own count of references,
which it keeps of every array at every call, is switched off: that is half of what it would
compile, and much of what a call would cost. So compiled functions must not allocate: they fill
arrays that their caller holds (``_nrt`` is Numba's own option, for code of this kind).
"""
# Numba has no stubs.
# mypy: ignore-errors

from numba import njit

from cmpc_kernels.compiled.caching import keep_code

__all__ = ["FASTMATH", "entrance", "inner"]

# Sums may be reordered, so that they become vectors; NaN and infinity keep their meaning.
FASTMATH = {"nsz", "contract", "reassoc"}
OPTIONS = {"nogil": True, "no_cfunc_wrapper": True, "_nrt": False}


def entrance(**options):
    """Return the decorator of a function that Python calls; ``options`` are Numba's."""
    return lambda function: keep_code(njit(**OPTIONS, **options)(function))


def inner(**options):
    """Return the decorator of a function that only compiled ones call.

    From Python it would crash: how to unpack its arguments is not compiled.
    """
    return entrance(no_cpython_wrapper=True, **options)
