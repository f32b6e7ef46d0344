"""Segmentations made by other programs, brought to this program's own label values on the scan's own grid.

A folder of TotalSegmentator's results holds one mask a class, named as in `planner.foreign_classes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner.errors import LabelsError
from planner.findings import Finding
from planner.foreign_classes import FOREIGN_CLASSES, TOTALSEGMENTATOR
from planner.grid import Grid
from planner.images import read_labels
from planner.labels import Label
from planner.seg_labels import is_dicom, read_seg
from planner.volume import LabelMap

__all__ = ["GivenLabels", "check_joint", "own_values", "read_given_labels"]

REMEDY = (
    "Give labels with 1 sacrum, 2 left hip, 3 right hip, or TotalSegmentator's multi-label file or folder, "
    "or a DICOM SEG, on the scan's own grid."
)


@dataclass(frozen=True, eq=False)
class GivenLabels:
    """A segmentation that someone else made.

    Attributes
    ----------
    labels : LabelMap
        `planner.labels.Label` values on the scan's own grid.
    source : str
        ``labels`` (own values), ``totalsegmentator`` (its classes) or ``dicom-seg``.
    findings : tuple of Finding
        What was left out of it.
    """

    labels: LabelMap
    source: str
    findings: tuple[Finding, ...] = ()


def read_given_labels(path: Path, grid: Grid) -> GivenLabels:
    """Read a segmentation of a scan.

    Parameters
    ----------
    path : Path
        An image with this program's own values, TotalSegmentator's multi-label file or folder of masks, or a DICOM SEG
        (or a folder that holds nothing else).
    grid : Grid
        The scan's own.

    Raises
    ------
    planner.errors.LabelsError
        If it holds no sacrum or no hip bone, or does not lie on the scan's grid.
    planner.errors.UnreadableFileError
        If a file cannot be read.
    """
    given = _read(path, grid)
    if not given.labels.grid.same_as(grid):
        raise LabelsError(
            f"{path.name}: labels of shape {given.labels.grid.shape_zyx} do not lie on the scan's grid of shape "
            f"{grid.shape_zyx}.",
            "Resample them onto the scan (same size, spacing, origin and direction).",
        )
    check_joint(given.labels, path.name, REMEDY)
    return given


def check_joint(labels: LabelMap, what: str, remedy: str) -> None:
    """Refuse labels without the sacrum or without a hip bone.

    Raises
    ------
    planner.errors.LabelsError
        With the labels found.
    """
    found = {Label(int(value)) for value in np.unique(labels.values)}
    if Label.SACRUM not in found or not found & {Label.LEFT_HIP, Label.RIGHT_HIP}:
        names = ", ".join(label.name.lower() for label in sorted(found - {Label.BACKGROUND})) or "nothing"
        raise LabelsError(f"{what}: found {names}, expected the sacrum and a hip bone.", remedy)


def _read(path: Path, grid: Grid) -> GivenLabels:
    seg = _lone_dicom(path) if path.is_dir() else path
    if seg is not None and is_dicom(seg):
        labels, findings = read_seg(seg, grid)
        return GivenLabels(labels, "dicom-seg", findings)
    if path.is_dir():
        return GivenLabels(_read_folder(path), "totalsegmentator")
    labels = read_labels(path)
    is_own = labels.values.max() <= max(Label)
    return GivenLabels(labels if is_own else own_values(labels), "labels" if is_own else "totalsegmentator")


def own_values(labels: LabelMap) -> LabelMap:
    """Translate the values of TotalSegmentator's multi-label file; other classes become background."""
    table = np.zeros(256, np.uint8)
    for entry in TOTALSEGMENTATOR:
        table[entry.value] = entry.label
    return LabelMap(table[labels.values], labels.grid)


def _lone_dicom(folder: Path) -> Path | None:
    files = [file for file in folder.iterdir() if file.is_file()]
    return files[0] if len(files) == 1 else None


def _read_folder(folder: Path) -> LabelMap:
    values: NDArray[np.uint8] | None = None
    grid: Grid | None = None
    for entry in FOREIGN_CLASSES:
        path = folder / f"{entry.name}.nii.gz"
        if not path.is_file():
            continue
        mask = read_labels(path)
        if values is None or grid is None:
            values, grid = np.zeros(mask.grid.shape_zyx, np.uint8), mask.grid
        if not mask.grid.same_as(grid):
            raise LabelsError(f"{path.name}: found a grid other than that of the masks beside it.", REMEDY)
        values[mask.values > 0] = entry.label
    if values is None or grid is None:
        raise LabelsError(f"{folder.name}: found no mask such as sacrum.nii.gz or hip_left.nii.gz.", REMEDY)
    return LabelMap(values, grid)
