"""Findings: what a reader of the plan must know about the scan, the anatomy or the plan itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["Finding", "Level", "witness_of"]


class Level(StrEnum):
    """How hard a finding bears on the plan, mildest first."""

    NOTE = "note"
    WARN = "warn"
    REVIEW_ONLY = "review-only"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Finding:
    """One thing that the reader must know.

    Attributes
    ----------
    code : str
        Stable kebab-case name, for example ``slice-spacing`` or ``joint-truncated``.
    level : Level
        How hard it bears on the plan.
    side : str
        ``left``, ``right`` or ``both``.
    message : str
        One sentence with the value found and its limit. No identifiers.
    at_lps : (x, y, z) or None
        Where to look, LPS mm; None where it is nowhere in particular.
    """

    code: str
    level: Level
    side: str
    message: str
    at_lps: tuple[float, float, float] | None = None


def witness_of(points_lps: NDArray[np.float64]) -> tuple[float, float, float]:
    """Find the point of a patch ``(n, 3)`` that is nearest to its middle: unlike the middle, it lies on the patch."""
    away = np.linalg.norm(points_lps - points_lps.mean(axis=0), axis=1)
    x, y, z = points_lps[int(away.argmin())].tolist()
    return x, y, z
