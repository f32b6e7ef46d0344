"""What passes between indexing, planning and the summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from planner.case import CaseSettings

__all__ = ["Outcome", "Status", "Study", "Task"]


class Status(StrEnum):
    """How a study ended."""

    PLANNED = "planned"
    REFUSED = "refused"
    FAILED = "failed"
    NO_CT = "no-ct"
    STOPPED = "stopped"
    """Nothing wrong with the study, but the batch cannot go on: the disk is full. Never recorded."""


@dataclass(frozen=True)
class Study:
    """One study as the index knows it; holds identifiers, so it is never written or shown.

    Attributes
    ----------
    uid : str
        Study Instance UID, or the folder of images that carry none.
    images : tuple of str
        CT images, one of each, relative to the export, sorted.
    damaged : tuple of str
        Damaged CT files that are this study's, or may be.
    copies : int
        Images left out because another file is the same.
    others : mapping of str to int
        Images of other modalities, counted.
    content : str
        Digest of `images` and `damaged`; does not depend on the files' names.
    """

    uid: str
    images: tuple[str, ...]
    damaged: tuple[str, ...]
    copies: int
    others: Mapping[str, int]
    content: str


@dataclass(frozen=True)
class Task:
    """One study to plan.

    Attributes
    ----------
    key : str
        Name of its folder: hash of the study's UID and the settings.
    root, out : Path
        The export, and the folder that holds a folder a case.
    study : Study
        Its files.
    settings : CaseSettings
        What to plan.
    timeout_s : float
        Longest that it may take.
    attempt : int
        1, or more after a worker died on it.
    """

    key: str
    root: Path
    out: Path
    study: Study
    settings: CaseSettings
    timeout_s: float
    attempt: int = 1

    @property
    def folder(self) -> Path:
        """Where its result goes."""
        return self.out / self.key

    @property
    def timeout_mark(self) -> Path:
        """File that says so if it took too long."""
        return self.out / f".{self.key}.timeout"

    def again(self) -> Task:
        """Give the next attempt."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class Outcome:
    """How a study ended, and why; holds no identifier.

    Attributes
    ----------
    reason : str
        Kebab-case, for counting; empty where planned.
    message : str
        One sentence.
    passing : bool
        Whether another attempt may do better.
    seconds : float
        Wall clock in the worker.
    """

    status: Status
    reason: str = ""
    message: str = ""
    passing: bool = False
    seconds: float = 0.0
