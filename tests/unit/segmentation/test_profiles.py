from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from planner.grid import Grid
from planner.segmentation.profiles import NO_DATA, EdgeSearch, find_edges, find_gap_edges, read_profiles
from planner.volume import Volume


def slabs(*walls: tuple[float, float, float]) -> Volume:
    """40 HU everywhere but for slabs (from x, to x, HU), 1 mm voxels, blurred like a scanner does."""
    x = np.arange(0, 60, 0.1)
    line = np.full(x.shape, 40.0)
    for low, high, hu in walls:
        line[(x >= low) & (x < high)] = hu
    line = ndimage.gaussian_filter1d(line, 5.0)[::10]
    hu = np.broadcast_to(line.round().astype(np.int16), (20, 20, 60))
    return Volume(np.ascontiguousarray(hu), Grid.from_spacing((20, 20, 60), 1.0))


def at(*xs: float) -> tuple[np.ndarray, np.ndarray]:
    points = np.array([[x, 10.0, 10.0] for x in xs])
    return points, np.tile([1.0, 0.0, 0.0], (len(xs), 1))


def test_profiles_are_trilinear_and_say_where_there_is_no_data() -> None:
    ramp = np.broadcast_to(np.arange(30, dtype=np.int16) * 10, (5, 5, 30))
    volume = Volume(np.ascontiguousarray(ramp), Grid.from_spacing((5, 5, 30), 2.0))
    points = np.array([[21.0, 4.0, 4.0]])
    read = read_profiles(volume, points, np.array([[1.0, 0, 0]]), np.array([-30.0, 0.0, 3.0, 60.0]))
    np.testing.assert_allclose(read[0], [NO_DATA, 105.0, 120.0, NO_DATA])


@pytest.mark.parametrize("start", [27.0, 29.0, 30.0, 31.5, 33.0])
def test_edge_of_a_wall_is_found_from_both_sides(start: float) -> None:
    points, normals = at(start)
    offset, strength = find_edges(slabs((15, 30, 900)), points, normals, EdgeSearch(6.0, 0.5))
    assert points[0, 0] + offset[0] == pytest.approx(29.95, abs=0.2)
    assert 300.0 < strength[0] <= 350.0


def test_no_edge_in_soft_tissue_or_outside() -> None:
    points, normals = at(50.0, 200.0)
    offset, strength = find_edges(slabs((15, 20, 900)), points, normals, EdgeSearch(6.0))
    np.testing.assert_array_equal(offset, 0.0)
    np.testing.assert_array_equal(strength, 0.0)


def test_bone_does_not_border_on_padding() -> None:
    volume = slabs((0, 30, 900))
    hu = volume.hu.copy()
    hu[..., 30:] = -1024
    _, strength = find_edges(Volume(hu, volume.grid), *at(29.0), EdgeSearch(6.0))
    assert strength[0] == 0.0


@pytest.mark.parametrize("gap", [2.0, 3.0, 4.0])
@pytest.mark.parametrize("start", [29.0, 30.0, 31.0])
def test_gap_edge_stays_on_the_near_flank(gap: float, start: float) -> None:
    # near bone to x = 30, gap, facing cortex 2 mm thick and then dark marrow: a second, wrong edge
    walls = ((15, 30, 700), (30 + gap, 32 + gap, 700), (32 + gap, 45, 150))
    points, normals = at(start)
    offset, _ = find_gap_edges(slabs(*walls), points, normals, EdgeSearch(4.0, 0.5))
    assert points[0, 0] + offset[0] == pytest.approx(30.0, abs=0.5)
