"""Pictures of the scan: taken into a pack only as this program wrote them, and none of a CT with text burned in."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom

from planner.dicom.headers import PARSER_ERRORS

__all__ = ["FIGURE", "Shown", "read_manifest"]

OF_A_SIDE = "sheet|axial|along_implant|down_the_implant|gap_map|c_arm|compare|injection"
"""Ends of the names of a side's figures."""

FIGURE = re.compile(rf"(cover|overview|(left|right)_({OF_A_SIDE}))\.png")
"""Figures that this program draws; a file of another name is none of ours."""


@dataclass(frozen=True)
class Shown:
    """What a result's pictures are known to be.

    Attributes
    ----------
    folder : Path
        The result.
    digests : mapping of str to str
        SHA-256 of each picture and page when it was written.
    burned_in : bool
        Whether the CT says that names or numbers stand in its pixels (0028,0301).
    """

    folder: Path
    digests: Mapping[str, str]
    burned_in: bool

    @classmethod
    def of(cls, folder: Path) -> Shown:
        """Read what is known from a result."""
        digests = read_manifest(folder).get("shown", {})
        return cls(folder, digests if isinstance(digests, dict) else {}, _has_burned_in(folder / "dicom"))

    def why_not(self, path: Path) -> str:
        """Say why a file is left out; empty where it may go."""
        written = self.digests.get(path.relative_to(self.folder).as_posix())
        if self.burned_in:
            return "the CT says that text is burned into its pixels"
        if written is None:
            return "the manifest does not say how it was written: plan the case again"
        if hashlib.sha256(path.read_bytes()).hexdigest() != written:
            return "it was changed after it was written, and may have been drawn on"
        return ""


def read_manifest(folder: Path) -> Mapping[str, Any]:
    """Read ``manifest.json``; empty where there is none."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _has_burned_in(folder: Path) -> bool:
    """Read what the CT said, which our pictures and documents of it repeat."""
    for path in sorted((*folder.glob("figure_*.dcm"), *folder.glob("document_*.dcm"))):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # values that break the standard were taken over from the CT
                header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["BurnedInAnnotation"])
        except (*PARSER_ERRORS, pydicom.errors.InvalidDicomError):
            return True
        if str(header.get("BurnedInAnnotation", "")) == "YES":
            return True
    return False
