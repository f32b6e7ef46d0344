"""Cells are the same however the voxels are stored, and are what a slow count gives."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.cells import BONE_HU, LATTICE_ZYX_MM, PADDING_HU, Cells, count_cells
from planner.grid import Grid, Orientation
from planner.source import ArraySource
from planner.volume import Volume

from support.dicom_files import body

FIELDS = ("bone", "looked_at", "known", "histogram")


def volume(shape=(23, 30, 35), spacing=(0.8, 0.45, 0.3)) -> Volume:
    return Volume(body(shape), Grid.from_spacing(shape, spacing, (1.0, -2.0, 3.0)))


def counted(given_volume: Volume) -> Cells:
    return count_cells(ArraySource(given_volume))


def slow(hu: np.ndarray, strides, sizes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bone, voxels and data of each cell, by slicing."""
    lattice = hu[:: strides[0], :: strides[1], :: strides[2]]
    shape = [-(-n // s) for n, s in zip(lattice.shape, sizes, strict=True)]
    found = np.zeros((3, *shape), int)
    for place in itertools.product(*map(range, shape)):
        cell = lattice[tuple(slice(k * s, (k + 1) * s) for k, s in zip(place, sizes, strict=True))]
        found[(slice(None), *place)] = (
            (cell > BONE_HU).sum(),
            cell.size,
            cell.min() != cell.max() or cell.max() > PADDING_HU,
        )
    return found[0], found[1], found[2]


def test_cells_are_those_of_a_slow_count():
    v = volume()
    hu = v.hu.copy()
    hu[:10, :20, :20] = -1024
    cells = counted(Volume(hu, v.grid))
    strides, sizes = (2, 2, 3), (2, 4, 4)  # lattice of 1.6 x 0.9 x 0.9 mm; cells of 3.2 x 3.6 x 3.6 mm
    bone, looked_at, known = slow(hu, strides, sizes)
    np.testing.assert_array_equal(cells.bone, bone)
    np.testing.assert_array_equal(cells.looked_at, looked_at)
    np.testing.assert_array_equal(cells.known, known.astype(bool))
    assert not cells.known.all()
    lattice = hu[::2, ::2, ::3]
    np.testing.assert_array_equal(cells.histogram, np.bincount(lattice.ravel().astype(int) + 32768, minlength=65536))
    np.testing.assert_allclose(cells.grid.spacing_zyx_mm, np.multiply(strides, sizes) * v.grid.spacing_zyx_mm)
    first = np.mean([[z, y, x] for z in (0, 2) for y in (0, 2, 4, 6) for x in (0, 3, 6, 9)], axis=0)
    np.testing.assert_allclose(cells.grid.origin_lps_mm, v.grid.to_lps(first))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", list(itertools.product((False, True), repeat=3)))
def test_cells_know_neither_axis_order_nor_flips(order, flips):
    v = volume()
    turn = Orientation(order, flips)
    stored = Volume(np.ascontiguousarray(turn.apply(v.hu)), turn.apply_grid(v.grid))
    ours, theirs = counted(v), counted(stored)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    np.testing.assert_array_equal(ours.grid.lps_from_zyx, theirs.grid.lps_from_zyx)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    st.tuples(*[st.integers(2, 40)] * 3),
    st.tuples(*[st.sampled_from([0.2, 0.35, 0.5, 0.703125, 1.0, 1.6, 2.0, 3.0, 5.0])] * 3),
)
def test_no_lattice_is_wider_than_it_may_be_and_every_voxel_of_it_is_counted(shape, spacing):
    v = volume(shape, spacing)
    cells = counted(v)
    total = int(cells.looked_at.sum())
    assert cells.histogram.sum() == total
    strides = [max(1, int(limit / mm + 1e-3)) for limit, mm in zip(LATTICE_ZYX_MM, spacing, strict=True)]
    assert total == np.prod([len(range(0, n, s)) for n, s in zip(shape, strides, strict=True)])
    assert (cells.bone <= cells.looked_at).all()
    assert cells.looked_at.min() > 0


@pytest.mark.parametrize("noise", [1.0 + 4e-7, 1.0 - 4e-7])
def test_spacings_rounded_otherwise_count_alike(noise):
    """1.6 mm is a tie: 2.5 voxels to a cell."""
    ours, theirs = (counted(volume((20, 20, 20), (1.6 * f, 2.0 * f, 1.0 * f))) for f in (1.0, noise))
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def test_planes_off_the_lattice_are_never_asked_for():
    class Watched(ArraySource):
        asked = ()

        def planes(self, indices, window=None):
            Watched.asked = tuple(indices)
            return super().planes(indices, window)

    v = volume((40, 10, 10), (0.4, 1.0, 1.0))
    count_cells(Watched(v))
    assert Watched.asked == tuple(range(0, 40, 5))
    flipped = Orientation((0, 1, 2), (True, False, False))
    count_cells(Watched(Volume(flipped.apply(v.hu), flipped.apply_grid(v.grid))))
    assert Watched.asked == tuple(range(4, 40, 5))


def test_counts_cannot_be_changed():
    cells = counted(volume())
    with pytest.raises(ValueError, match="read-only"):
        cells.bone[0, 0, 0] = 1
