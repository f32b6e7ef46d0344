"""Connections break: what was lost is tried again, a few times."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from planner.errors import BackendError

__all__ = ["ATTEMPTS", "insist"]

T = TypeVar("T")

ATTEMPTS = 3
"""Connections that are tried for one study [P]."""
PAUSE_S = 1.0
"""Between two of them [P]: an archive that is busy is not helped by haste."""


def insist(attempt: Callable[[], T]) -> T:
    """Do something until it succeeds, at most `ATTEMPTS` times.

    Parameters
    ----------
    attempt : callable
        Keeps what it had achieved, so that the next one need not do it again.

    Raises
    ------
    BackendError
        What the last attempt raised.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return attempt()
        except BackendError:
            threading.Event().wait(PAUSE_S)
    return attempt()
