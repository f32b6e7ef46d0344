"""What pynetdicom leaves behind is collected where it was left, not within some later test."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _sockets_left_unclosed_are_collected_here() -> Iterator[None]:
    """Sockets of associations that failed are dropped unclosed by pynetdicom (3.0)."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
