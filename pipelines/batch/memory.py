"""Memory that a case has freed goes back to the system before the next one begins."""

from __future__ import annotations

import ctypes
import gc
import sys

__all__ = ["give_back"]


def give_back() -> None:
    """Collect what is no longer used, and have the allocator return it.

    glibc keeps what is freed for each thread apart, so that a worker would grow by some 10 MB with every case. Other
    allocators have no such call, and need none.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
