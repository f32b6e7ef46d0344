"""The folder ``dicom/``: everything that a PACS takes of a plan.

Its objects name the patient, as all objects of a study do: that is how a PACS files them. Nothing outside this folder
does, and file names never do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.config import disable_value_validation

from planner.dicom import SourceStudy
from planner.exports.dicom.documents import write_pdf, write_picture, write_stl_object
from planner.exports.dicom.objects import Kind, Target
from planner.exports.dicom.report import write_report
from planner.exports.dicom.segmentation import BONES, KEEPOUTS, Form, write_segmentation
from planner.volume import PlacedLabels

__all__ = ["what_lacks", "write_dicom"]

WORDS = {".png": "figure", ".stl": "mesh", ".pdf": "document"}
"""Attachments by their ending, and how their objects' file names begin."""


def what_lacks(study: SourceStudy) -> str:
    """Say why no object can join a study; empty where they can."""
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
        if not str(study.header.get(keyword, "")):
            return f"the CT has no {keyword}"
    if not all(one.sop_class and one.sop_instance for one in study.slices):
        return "a slice of the CT has no SOPInstanceUID"
    return ""


def write_dicom(
    folder: Path,
    target: Target,
    labels: PlacedLabels,
    attachments: Sequence[Path] = (),
    segmentation: Form = "binary",
    keepouts: PlacedLabels | None = None,
) -> list[Path]:
    """Write a plan as DICOM objects.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    target : Target
        The CT's study, and the plan.
    labels : PlacedLabels
        Bones on the scan's own grid.
    attachments : sequence of Path
        Figures (``.png``), surfaces (``.stl``) and the report (``.pdf``), each of which becomes an object.
    segmentation : str
        Kind of the SEGs.
    keepouts : PlacedLabels, optional
        Canal, foramina and soft tissue on the same grid; a SEG of them is written where there are any.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kind = BONES.kinds[segmentation]
    with disable_value_validation():  # what the CT holds against the standard is taken over as it is
        written = [
            write_segmentation(folder / "seg.dcm", target, labels, segmentation),
            write_report(folder / "sr.dcm", target),
        ]
        if keepouts is not None and keepouts.values.any():
            written.append(write_segmentation(folder / "seg_keepout.dcm", target, keepouts, segmentation, KEEPOUTS))
        for suffix in WORDS:
            files = [path for path in attachments if path.suffix == suffix]
            written += [_attach(folder, target, number, path, kind) for number, path in enumerate(files, start=1)]
    return written


def _attach(folder: Path, target: Target, number: int, path: Path, drawn_on: Kind) -> Path:
    place = folder / f"{WORDS[path.suffix]}_{path.stem}.dcm"
    if path.suffix == ".png":
        with Image.open(path) as picture:
            return write_picture(place, target, number, np.asarray(picture.convert("RGB")))
    if path.suffix == ".pdf":
        return write_pdf(place, target, path.read_bytes())
    return write_stl_object(place, target, number, path.read_bytes(), drawn_on)
