"""When a study has come in whole: no one says so in DICOM, so it is quiet, and the sender has hung up properly."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Arrivals"]

PATIENCE = 10.0
"""A study whose sender was cut off waits so many times the quiet period for the rest to come again [P]."""


@dataclass
class _Study:
    last: float
    senders: set[int] = field(default_factory=set)
    cut_off: bool = False


class Arrivals:
    """Studies that are coming in.

    Parameters
    ----------
    quiet_s : float
        A study is whole when nothing of it came for so long and all who sent of it have released their associations.
    clock : callable
        Seconds, never going back.
    """

    def __init__(self, quiet_s: float, clock: Callable[[], float]) -> None:
        self._quiet_s, self._clock = quiet_s, clock
        self._studies: dict[str, _Study] = {}
        self._lock = threading.Lock()

    def stored(self, study: str, sender: int) -> None:
        """Note an instance."""
        with self._lock:
            known = self._studies.setdefault(study, _Study(0.0))
            known.last, known.cut_off = self._clock(), False
            known.senders.add(sender)

    def left_over(self, study: str) -> None:
        """Note a study that an earlier run had not got whole."""
        with self._lock:
            self._studies[study] = _Study(self._clock(), cut_off=True)

    def hung_up(self, sender: int, *, properly: bool) -> None:
        """Note the end of an association."""
        with self._lock:
            for study in self._studies.values():
                if sender in study.senders:
                    study.senders.discard(sender)
                    study.last = self._clock()
                    study.cut_off = study.cut_off or not properly

    def due(self) -> list[str]:
        """Give the studies that are whole, once."""
        with self._lock:
            now = self._clock()
            whole = [
                name
                for name, study in self._studies.items()
                if not study.senders and now - study.last >= self._quiet_s * (PATIENCE if study.cut_off else 1.0)
            ]
            for name in whole:
                del self._studies[name]
            return sorted(whole)
