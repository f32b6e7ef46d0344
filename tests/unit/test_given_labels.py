"""Segmentations of other programs come out with this program's values, or are refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from planner.errors import LabelsError, UnreadableFileError
from planner.foreign_classes import TOTALSEGMENTATOR
from planner.given_labels import read_given_labels
from planner.grid import Grid
from planner.images import write_labels
from planner.volume import LabelMap

GRID = Grid.from_spacing((3, 4, 5), 2.0)


def save(path, values, grid=GRID):
    array = np.zeros(grid.shape_zyx, np.uint8)
    array.reshape(-1)[: len(values)] = values
    write_labels(path, LabelMap(array, grid))
    return path


def first(labels, n):
    return labels.values.reshape(-1)[:n].tolist()


def test_own_values_are_kept(tmp_path):
    labels = read_given_labels(save(tmp_path / "own.nii.gz", [1, 2, 3, 4, 5, 6]), GRID).labels
    assert first(labels, 7) == [1, 2, 3, 4, 5, 6, 0]
    assert labels.grid.same_as(GRID)


def test_totalsegmentators_file_is_translated_and_the_rest_dropped(tmp_path):
    path = save(tmp_path / "total.nii.gz", [25, 26, 27, 77, 78, 75, 76, 5, 90])
    assert first(read_given_labels(path, GRID).labels, 9) == [1, 1, 4, 2, 3, 5, 6, 0, 0]


def test_totalsegmentators_folder_is_joined(tmp_path):
    for place, name in enumerate(["sacrum", "hip_left", "hip_right", "femur_left", "liver"]):
        save(tmp_path / f"{name}.nii.gz", [0] * place + [1])
    assert first(read_given_labels(tmp_path, GRID).labels, 5) == [1, 2, 3, 5, 0]


def test_left_is_left_in_the_table():
    sides = {
        entry.name: entry.label.name for entry in TOTALSEGMENTATOR if "_left" in entry.name or "_right" in entry.name
    }
    assert sides == {
        "femur_left": "LEFT_FEMUR", "femur_right": "RIGHT_FEMUR", "hip_left": "LEFT_HIP", "hip_right": "RIGHT_HIP",
    }  # fmt: skip


@pytest.mark.parametrize("values", [[], [1], [2, 3], [80, 90]])
def test_labels_without_a_joint_are_refused(tmp_path, values):
    with pytest.raises(LabelsError, match=r"bad\.nii\.gz.*expected the sacrum and a hip bone"):
        read_given_labels(save(tmp_path / "bad.nii.gz", values), GRID)


def test_masks_on_different_grids_are_refused(tmp_path):
    save(tmp_path / "sacrum.nii.gz", [1])
    save(tmp_path / "hip_left.nii.gz", [0, 1], Grid.from_spacing((3, 4, 5), 1.0))
    with pytest.raises(LabelsError, match=r"hip_left\.nii\.gz: found a grid other"):
        read_given_labels(tmp_path, GRID)


def test_a_folder_without_masks_is_refused(tmp_path):
    with pytest.raises(LabelsError, match="found no mask"):
        read_given_labels(tmp_path, GRID)


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(UnreadableFileError, match=r"absent\.nii\.gz"):
        read_given_labels(tmp_path / "absent.nii.gz", GRID)
