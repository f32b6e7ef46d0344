"""Canal and foramina stay open in the sacrum's tail; marrow and single-voxel gaps do not."""

from __future__ import annotations

import numpy as np
import pytest

from planner.grid import Grid
from planner.segmentation.tail import soft_ways


def block(gap_voxels: int) -> tuple[np.ndarray, np.ndarray]:
    """Soft voxels of a block of bone with a marrow cavity that a gap of some voxels opens, and the outside."""
    bone = np.zeros((30, 30, 30), bool)
    bone[4:26, 4:26, 4:26] = True
    bone[10:20, 10:20, 10:20] = False
    bone[15 : 15 + gap_voxels, 4:10, 15 : 15 + gap_voxels] = False
    outside = np.ones_like(bone)
    outside[4:26, 4:26, 4:26] = False
    return ~bone, outside


def cavity(ways: np.ndarray) -> np.ndarray:
    return ways[12:18, 12:18, 12:18]


@pytest.mark.parametrize(("gap_voxels", "is_open"), [(0, False), (1, False), (4, True)])
def test_what_a_ball_reaches_is_open(gap_voxels, is_open):
    soft, outside = block(gap_voxels)
    ways = soft_ways(soft, outside, Grid.from_spacing(soft.shape, 1.0))
    assert cavity(ways).all() == is_open
    assert cavity(ways).any() == is_open
    assert not (ways & ~soft).any()


@pytest.mark.parametrize("spacing_mm", [1.5, 3.0])
@pytest.mark.parametrize(("gap_voxels", "is_open"), [(2, False), (3, True)])
def test_in_large_voxels_a_gap_of_two_is_dilution(spacing_mm, gap_voxels, is_open):
    soft, outside = block(gap_voxels)
    ways = soft_ways(soft, outside, Grid.from_spacing(soft.shape, spacing_mm))
    assert cavity(ways).any() == is_open


def test_a_wide_way_goes_on_where_it_is_flat():
    soft = np.zeros((40, 20, 30), bool)
    soft[:15, 5:15, 5:25] = True  # the canal, open above,
    soft[15:19, 9:11, 5:25] = True  # two voxels thick below,
    soft[19:, 5:15, 5:25] = True  # and wide again, as far as it goes
    soft[38:] = False
    outside = np.zeros_like(soft)
    outside[0] = True
    ways = soft_ways(soft, outside, Grid.from_spacing(soft.shape, 1.0))
    assert ways[:17][soft[:17]].all()
    assert not ways[22:].any()
