"""What a verification gives."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Check", "Verification"]


@dataclass(frozen=True)
class Check:
    """One claim of a plan, held against the files.

    Attributes
    ----------
    name : str
        Kebab-case, for example ``neural-clearance``.
    side : str
        ``left``, ``right`` or ``both``.
    passed : bool
        Whether the claim holds.
    message : str
        What was found, and what was claimed.
    """

    name: str
    side: str
    passed: bool
    message: str


@dataclass(frozen=True)
class Verification:
    """All checks of one result folder."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)
