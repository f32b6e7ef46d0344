"""Memory that a case has freed goes back to the system before the next one begins."""

from __future__ import annotations

import ctypes
import gc
import sys
from functools import cache

__all__ = ["give_back", "keep_tidy"]

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
"""Parameters of glibc's ``mallopt`` (``malloc.h``)."""
MAPPED_BYTES = 1 << 20
"""Larger blocks are mapped each on its own, and unmapped when freed [P]; by itself glibc stops to do so."""
ARENAS = 2
"""Heaps that threads share [P]; by itself glibc makes up to eight a core, each with holes of its own."""


@cache
def keep_tidy() -> None:
    """Ask the allocator to keep as little as it can of what is freed; once a process.

    Without this, and without `give_back`, a worker grew by 10 to 20 MB with every case: nothing of a case was still in
    use, but its holes were.
    """
    if (options := _glibc("mallopt")) is not None:
        options(M_MMAP_THRESHOLD, MAPPED_BYTES)
        options(M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Collect what is no longer used, and have the allocator return it."""
    gc.collect()
    if (trim := _glibc("malloc_trim")) is not None:
        trim(0)


def _glibc(name: str) -> ctypes._NamedFuncPointer | None:
    """Give a function of the C library; None where it has no such thing, as others than glibc."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
