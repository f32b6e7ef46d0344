"""Findings: what a reader of the plan must know about the scan, the anatomy or the plan itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Level"]


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
    """

    code: str
    level: Level
    side: str
    message: str
