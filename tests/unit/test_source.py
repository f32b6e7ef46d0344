"""Boxes of a source: the same canonical voxels whatever the storage, and means of whole blocks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.grid import Grid, Orientation
from planner.source import ArraySource, block_grid, read_box, read_whole
from planner.volume import Volume

from support.dicom_files import body

SHAPE = (12, 14, 18)
GRID = Grid.from_spacing(SHAPE, (0.8, 0.5, 0.4), (1.0, -2.0, 3.0))
BOX = (slice(2, 10), slice(1, 13), slice(4, 16))


def stored(order, flips) -> Volume:
    turn = Orientation(tuple(order), tuple(flips))
    return Volume(np.ascontiguousarray(turn.apply(body(SHAPE))), turn.apply_grid(GRID))


@settings(deadline=None, derandomize=True, max_examples=48)
@given(
    st.permutations(range(3)),
    st.tuples(*[st.booleans()] * 3),
    st.tuples(st.sampled_from([1, 2, 4]), st.sampled_from([1, 2, 3]), st.sampled_from([1, 2, 3])),
)
def test_a_box_is_the_same_from_any_storage(order, flips, blocks):
    sizes = [(s.stop - s.start) // b for s, b in zip(BOX, blocks, strict=True)]
    parts = body(SHAPE)[BOX].reshape(*itertools.chain(*zip(sizes, blocks, strict=True)))
    means = np.floor(parts.mean(axis=(1, 3, 5), dtype=np.float64) + 0.5)
    found = read_box(ArraySource(stored(order, flips)), BOX, blocks)
    np.testing.assert_array_equal(found.hu, means)
    assert found.hu.flags.c_contiguous
    wanted = block_grid(GRID.crop(BOX), blocks)
    assert found.grid.same_as(wanted, 1e-6)
    corner = np.mean(
        list(itertools.product(*[(s.start, s.start + b - 1) for s, b in zip(BOX, blocks, strict=True)])), 0
    )
    np.testing.assert_allclose(found.grid.origin_lps_mm, GRID.to_lps(corner), atol=1e-6)


def test_means_of_extreme_values_do_not_wrap():
    hu = np.full((2, 2, 2), -32768, np.int16)
    source = ArraySource(Volume(hu, Grid.from_spacing(hu.shape, 1.0)))
    box = (slice(0, 2),) * 3
    assert read_box(source, box, (2, 2, 2)).hu.item() == -32768
    hu = hu.copy()
    hu[0] = 32767
    source = ArraySource(Volume(hu, Grid.from_spacing(hu.shape, 1.0)))
    assert read_box(source, box, (2, 2, 2)).hu.item() == 0  # -0.5, half up


def test_the_whole_is_read_as_stored():
    v = stored((2, 0, 1), (True, False, True))
    found = read_whole(ArraySource(v))
    np.testing.assert_array_equal(found.hu, v.hu)
    assert found.grid is v.grid


@pytest.mark.parametrize("window", [None, (slice(1, 5), slice(0, 3))])
def test_an_array_gives_its_planes_in_order(window):
    v = stored((0, 1, 2), (False, False, False))
    planes = list(ArraySource(v).planes([1, 4, 5], window))
    wanted = v.hu[[1, 4, 5]] if window is None else v.hu[[1, 4, 5]][:, *window]
    np.testing.assert_array_equal(planes, wanted)
