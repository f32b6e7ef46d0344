"""Segmentations made by other programs, brought to this program's own label values.

TotalSegmentator numbers its classes in one table (Wasserthal et al., Radiol Artif Intell 2023, 10.1148/ryai.230024,
task ``total``, version 2); a folder of its results holds one mask a class, named as in the table.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from planner.errors import LabelsError
from planner.grid import Grid
from planner.images import read_labels
from planner.labels import Label
from planner.volume import LabelMap

__all__ = ["TOTALSEGMENTATOR", "read_given_labels"]


class ForeignClass(NamedTuple):
    """One class of TotalSegmentator and the label that it is here."""

    value: int
    name: str
    label: Label


TOTALSEGMENTATOR = (
    ForeignClass(25, "sacrum", Label.SACRUM),
    ForeignClass(26, "vertebrae_S1", Label.SACRUM),
    ForeignClass(27, "vertebrae_L5", Label.LUMBAR),
    ForeignClass(28, "vertebrae_L4", Label.LUMBAR),
    ForeignClass(29, "vertebrae_L3", Label.LUMBAR),
    ForeignClass(75, "femur_left", Label.LEFT_FEMUR),
    ForeignClass(76, "femur_right", Label.RIGHT_FEMUR),
    ForeignClass(77, "hip_left", Label.LEFT_HIP),
    ForeignClass(78, "hip_right", Label.RIGHT_HIP),
)
"""Classes that are used here."""

REMEDY = (
    "Give labels with 1 sacrum, 2 left hip, 3 right hip, or TotalSegmentator's multi-label file or folder, "
    "on the scan's own grid."
)


def read_given_labels(path: Path) -> LabelMap:
    """Read a segmentation: this program's own values, or TotalSegmentator's multi-label file or folder of masks.

    Raises
    ------
    planner.errors.LabelsError
        If it holds no sacrum or no hip bone, or its masks lie on different grids.
    planner.errors.UnreadableFileError
        If a file cannot be read.
    """
    labels = _read_folder(path) if path.is_dir() else _own_values(read_labels(path))
    found = {Label(int(value)) for value in np.unique(labels.values)}
    if Label.SACRUM not in found or not found & {Label.LEFT_HIP, Label.RIGHT_HIP}:
        names = ", ".join(label.name.lower() for label in sorted(found - {Label.BACKGROUND})) or "nothing"
        raise LabelsError(f"{path.name}: found {names}, expected the sacrum and a hip bone.", REMEDY)
    return labels


def _own_values(labels: LabelMap) -> LabelMap:
    if labels.values.max() <= max(Label):
        return labels
    table = np.zeros(256, np.uint8)
    for entry in TOTALSEGMENTATOR:
        table[entry.value] = entry.label
    return LabelMap(table[labels.values], labels.grid)


def _read_folder(folder: Path) -> LabelMap:
    values: NDArray[np.uint8] | None = None
    grid: Grid | None = None
    for entry in TOTALSEGMENTATOR:
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
