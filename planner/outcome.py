"""How planning one side ended: the part that every way in has in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.labels import Side

__all__ = ["Outcome", "Status"]

Status = Literal["planned", "unverified", "no-safe-path", "not-planned"]
"""A path that holds; one that holds as far as was seen; none that keeps all constraints; nothing that was tried."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """How it ended.

    Attributes
    ----------
    side : Side
        The patient's side.
    status : str
        See `Status`.
    reason : str
        One sentence; empty only for ``planned``.
    """

    side: Side
    status: Status
    reason: str
