"""Names in place of names: keyed hashes, so that packs of one site agree with each other and with no one else's."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from planner.errors import ConfigError

__all__ = ["KEY_BYTES", "Pseudonyms", "site_key"]

KEY_BYTES = 32
"""Length of a key that is made here."""
FEWEST_KEY_BYTES = 16
UID_DIGITS = 31
"""Hexadecimal digits that become a UID: 124 bits, in the 39 decimal digits that 2.25 leaves."""
ID_DIGITS = 16
MOST_DAYS = 3650
"""Dates move back by 1 to so many days [P]."""
DATE = "%Y%m%d"


@dataclass(frozen=True)
class Pseudonyms:
    """What a key makes of identifiers; the same for ever."""

    key: bytes

    def uid(self, uid: str) -> str:
        """Give the UID that stands for one, in the root of ITU-T X.667."""
        return f"2.25.{int(self._digest('uid', uid)[:UID_DIGITS], 16)}"

    def code(self, kind: str, value: str, digits: int = ID_DIGITS) -> str:
        """Give hexadecimal digits that stand for a value."""
        return self._digest(kind, value)[:digits].upper()

    def date(self, date: str, patient: str) -> str:
        """Move a date back, by as many days as all dates of the patient; empty where it is none."""
        days = 1 + int(self._digest("days", patient)[:8], 16) % MOST_DAYS
        try:
            return (datetime.strptime(date.strip(), DATE) - timedelta(days=days)).strftime(DATE)
        except ValueError:
            return ""

    def _digest(self, kind: str, value: str) -> str:
        return hmac.new(self.key, f"{kind}\0{value}".encode(), hashlib.sha256).hexdigest()


def site_key(path: Path) -> bytes:
    """Read the site's secret key; make one where there is none. Whoever holds it can test a guess at a patient.

    Raises
    ------
    ConfigError
        If it is too short, or can be neither read nor made.
    """
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_bytes(secrets.token_bytes(KEY_BYTES))
        key = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: no key can be read or made there ({error.strerror}).", "Use --key.") from error
    if len(key) < FEWEST_KEY_BYTES:
        raise ConfigError(
            f"{path}: found a key of {len(key)} bytes, expected at least {FEWEST_KEY_BYTES}.",
            "Name another file with --key; it is made if it does not exist.",
        )
    return key
