"""How the loops are compiled.

A first search waits for the compiler, so it is given little to do. Its own count of references,
which it keeps of every array at every call, is switched off: that is half of what it would
compile, and much of what a call would cost. So compiled functions must not allocate: they fill
arrays that their caller holds (``_nrt`` is Numba's own option, for code of this kind).
"""

from typing import Any

__all__ = ["ENTRANCE", "FASTMATH", "INNER"]

# Sums may be reordered, so that they become vectors; NaN and infinity keep their meaning.
FASTMATH = {"nsz", "contract", "reassoc"}
# Of functions that Python calls, and of those that only compiled ones may call: from Python they
# would crash, as to unpack their arguments is not compiled.
ENTRANCE: dict[str, Any] = {"cache": True, "nogil": True, "no_cfunc_wrapper": True, "_nrt": False}
INNER: dict[str, Any] = {**ENTRANCE, "no_cpython_wrapper": True}
