"""A long scan is the phantom in a longer table, written slice by slice."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from planner.grid import Grid
from sample_data import long_scan
from sample_data.long_scan import HIGHEST_HU, LOWEST_HU, NOISE_HU, long_planes, write_long_scan

SHAPE, SPACING = (40, 30, 40), (12.0, 10.0, 10.0)


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """A phantom of few voxels."""
    monkeypatch.setattr(long_scan, "BASE_MM", 4.0)


def test_slices_are_written_in_order_and_are_the_same_each_time(tmp_path):
    first = write_long_scan(tmp_path / "a", SHAPE, SPACING)
    again = write_long_scan(tmp_path / "b", SHAPE, SPACING)
    assert len(first) == SHAPE[0]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]
    heights = [float(pydicom.dcmread(p, stop_before_pixels=True).ImagePositionPatient[2]) for p in first]
    np.testing.assert_allclose(np.diff(heights), SPACING[0])


def test_the_pelvis_lies_below_the_middle_and_the_ends_go_on():
    planes = np.stack(list(long_planes(Grid.from_spacing(SHAPE, SPACING))))
    assert planes.shape == SHAPE
    assert planes.min() >= LOWEST_HU
    assert planes.max() <= HIGHEST_HU
    ends = planes[-2].astype(int) - planes[-1]
    assert 0.5 * NOISE_HU < ends[planes[-1] > -900].std() < 2 * NOISE_HU
    bone = (planes > 250).sum(axis=(1, 2))
    assert bone[10:22].sum() > 2 * bone[:10].sum()


def test_another_seed_is_another_noise():
    grid = Grid.from_spacing((2, 30, 40), SPACING)
    a, b = (np.stack(list(long_planes(grid, seed))) for seed in (0, 1))
    assert (a != b).mean() > 0.5
