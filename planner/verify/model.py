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
    checked : bool
        False where a file that the claim rests on is not at hand; such a claim does not fail.
    """

    name: str
    side: str
    passed: bool
    message: str
    checked: bool = True


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

    @property
    def unchecked(self) -> tuple[Check, ...]:
        """What could not be checked from the files at hand."""
        return tuple(check for check in self.checks if not check.checked)
