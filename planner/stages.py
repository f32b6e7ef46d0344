"""Stages by name: how long each took, how much memory the process had held by its end, and who wants to know."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["StageLog", "StageRecord", "peak_rss_mb"]


@dataclass(frozen=True)
class StageRecord:
    """What one stage cost.

    Attributes
    ----------
    name : str
        For example ``segment bones``.
    seconds : float
        Wall clock.
    peak_rss_mb : float or None
        The process's high-water mark at the end of the stage; None where the system does not tell.
    """

    name: str
    seconds: float
    peak_rss_mb: float | None


def peak_rss_mb() -> float | None:
    """Largest resident memory of this process so far, MB; None where the system does not tell (Windows)."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)


@dataclass
class StageLog:
    """Records stages as they pass.

    Attributes
    ----------
    on_start : callable
        Called with a stage's name when it begins; raising from it cancels the case.
    """

    on_start: Callable[[str], None] = lambda name: None
    records: list[StageRecord] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block."""
        self.on_start(name)
        start = time.perf_counter()
        yield
        self.records.append(StageRecord(name, round(time.perf_counter() - start, 3), peak_rss_mb()))
