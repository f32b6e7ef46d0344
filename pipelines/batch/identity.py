"""Names that say nothing of a patient: a study with its settings by a hash."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from planner import __version__
from planner.case import CaseSettings

__all__ = ["case_key", "settings_digest"]

KEY_DIGITS = 20
"""Hexadecimal digits of a case's folder: 80 bits, so that 100,000 studies do not meet."""


def settings_digest(settings: CaseSettings) -> str:
    """Digest of everything but the scan that a result depends on, our own version too."""
    content = {
        "version": __version__,
        "sides": [side.value for side in settings.sides],
        "implant": settings.implant,
        "catalogue": _file_digest(settings.catalogue),
        "shape_model": _file_digest(settings.shape_model),
        "backend": settings.backend.value,
        "resample": settings.resample,
        "config": settings.config.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def case_key(study_uid: str, settings: str) -> str:
    """Folder name of a study under settings of a digest."""
    return hashlib.sha256(f"{study_uid}\0{settings}".encode("utf-8", "replace")).hexdigest()[:KEY_DIGITS]


def _file_digest(path: Path | None) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else None
