"""Sockets of associations that failed are dropped unclosed by pynetdicom (3.0)."""

from __future__ import annotations

import gc
import warnings
from contextlib import contextmanager


@contextmanager
def collecting():
    """Collect them at the end of the block, not within some later test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
