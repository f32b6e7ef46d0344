"""Where received images go: one folder a study, one file an instance, each there as a whole."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from enum import Enum
from pathlib import Path

__all__ = ["Saved", "publish", "save_instance", "study_folder"]


class Saved(Enum):
    """What became of an instance."""

    NEW = "new"
    SAME = "same"
    OTHER = "other"
    """Another one of this name was there already, and stays."""


def study_folder(root: Path, study_uid: str) -> Path:
    """Folder of a study, by a hash: folder names are not to lead back to it."""
    return root / _short(study_uid)


def save_instance(folder: Path, instance_uid: str, content: bytes) -> Saved:
    """Save one DICOM file.

    Parameters
    ----------
    folder : Path
        Of the study; made if it is not there.
    instance_uid : str
        SOP Instance UID.
    content : bytes
        The whole file.
    """
    path = folder / f"{_short(instance_uid)}.dcm"
    if path.exists():
        return Saved.SAME if path.read_bytes() == content else Saved.OTHER
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{path.name}.{os.getpid()}-{threading.get_ident()}"
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return Saved.NEW


def publish(partial: Path, folder: Path) -> Path:
    """Put what has come in whole into its place, beside what is there from earlier."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(partial.glob("*.dcm")):
        path.replace(folder / path.name)
    shutil.rmtree(partial)
    return folder


def _short(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:24]
