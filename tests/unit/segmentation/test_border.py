"""The border of a bone lies at a share of the way from muscle to the cortex beside it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from planner.grid import Grid
from planner.labels import Label
from planner.segmentation.border import PEEL_MM, SOFT_HU, settle_border
from planner.segmentation.config import SegmentationConfig

SHAPE = (12, 12, 24)
CORTEX_HU, MARROW_HU = 840, 90


def slab(profile: list[int], label: Label = Label.SACRUM) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Bone from x = 6 on; `profile` is the HU of x = 2, 3, ... over its border, marrow behind, muscle before."""
    hu = np.full(SHAPE, MARROW_HU, np.int16)
    hu[:, :, :2] = int(SOFT_HU)
    hu[:, :, 2 : 2 + len(profile)] = profile
    labels = np.full(SHAPE, label, np.uint8)
    labels[:, :, :2] = 0
    return hu, labels


def first(labels: NDArray[np.uint8]) -> int:
    """First labelled x on the middle line."""
    return int(np.flatnonzero(labels[6, 6])[0])


def settle(
    hu: NDArray[np.int16], labels: NDArray[np.uint8], slices_mm: float = 1.0, **masks: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    none = np.zeros(SHAPE, bool)
    grid = Grid.from_spacing(SHAPE, (slices_mm, 1.0, 1.0))
    return settle_border(hu, labels, masks.get("inside", none), masks.get("hold", none), grid, SegmentationConfig())


@pytest.mark.parametrize(("edge_hu", "border"), [(200, 5), (330, 4)])
def test_thin_slices_end_at_three_tenths(edge_hu: int, border: int) -> None:
    hu, labels = slab([60, 100, edge_hu, CORTEX_HU, CORTEX_HU])
    assert first(settle(hu, labels)) == border


def test_thick_slices_end_nearer_to_half() -> None:
    hu, labels = slab([60, 100, 330, CORTEX_HU, CORTEX_HU])
    assert first(settle(hu, labels, 3.0)) == 5


def test_thin_cortex_is_measured_by_itself() -> None:
    hu, labels = slab([60, 70, 150, 240, 240])
    assert first(settle(hu, labels)) == 4


def test_marrow_without_cortex_is_peeled_only_a_little_inside() -> None:
    hu, labels = slab([60, 60, 60, 60])
    inside = labels > 0
    kept = settle(hu, labels, inside=inside)
    assert first(kept) <= 2 + np.ceil(PEEL_MM)


def test_joint_spaces_hold() -> None:
    hu, labels = slab([60, 100, 200, CORTEX_HU, CORTEX_HU])
    np.testing.assert_array_equal(settle(hu, labels, hold=np.ones(SHAPE, bool)), labels)


def test_other_bones_are_left_alone() -> None:
    hu, labels = slab([60, 100, 200, CORTEX_HU, CORTEX_HU], Label.LUMBAR)
    np.testing.assert_array_equal(settle(hu, labels), labels)


def test_the_input_is_not_changed() -> None:
    hu, labels = slab([60, 100, 200, CORTEX_HU, CORTEX_HU])
    before = labels.copy()
    settle(hu, labels)
    np.testing.assert_array_equal(labels, before)
