"""Only the labelled box of a result is held; every question about the whole grid has the same answer."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.grid import Grid
from planner.images import write_labels, write_placed_labels, write_volume
from planner.verify.image import Image, read_image
from planner.volume import LabelMap, PlacedLabels, Volume

SHAPE = (9, 11, 13)
GRID = Grid.from_spacing(SHAPE, (1.25, 0.75, 0.5), (-4.5, 3.25, 100.125))
POINTS = st.tuples(*[st.integers(-3, 15)] * 3)
OFF_TIES = 0.3
"""Keeps indices away from whole numbers, where float32 decides."""


def values() -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    array[3:6, 4:9, 2:5] = 7
    array[5, 2, 9] = 1
    return array


def whole() -> Image:
    matrix = GRID.lps_from_zyx[:3, [2, 1, 0]]
    return Image(values(), np.array(matrix), np.array(GRID.origin_lps_mm))


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Image:
    path = tmp_path_factory.mktemp("labels") / "labels.nii.gz"
    write_labels(path, LabelMap(values(), GRID))
    return read_image(path)


def test_the_box_is_the_smallest_with_every_label(found):
    assert found.values.shape == (3, 7, 8)
    assert found.shape_zyx == SHAPE
    np.testing.assert_array_equal(found.values, values()[3:6, 2:9, 2:10])
    assert found.before == (3, 2, 2)
    assert found.after == (3, 2, 3)


def test_points_and_grid_are_those_of_the_whole(found):
    for value in (1, 7):
        ours, theirs = found.points(found.values == value), whole().points(whole().values == value)
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert found.same_grid(whole())
    assert whole().same_grid(found)
    shifted = Image(values()[1:], whole().lps_from_xyz, whole().origin_lps)
    assert not found.same_grid(shifted)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(POINTS, min_size=1, max_size=3), st.sampled_from([0.0, 1.1, 3.3]))
def test_a_cut_anywhere_is_that_of_the_whole(found, index, margin):
    points = GRID.to_lps(np.array(index) + OFF_TIES)
    ours, theirs = found.around(points, margin), whole().around(points, margin)
    np.testing.assert_array_equal(ours.values, theirs.values)
    np.testing.assert_allclose(ours.origin_lps, theirs.origin_lps, atol=1e-4)


def test_no_label_at_all_is_an_empty_voxel(tmp_path):
    write_labels(tmp_path / "a.nii.gz", LabelMap(np.zeros(SHAPE, np.uint8), GRID))
    image = read_image(tmp_path / "a.nii.gz")
    assert image.shape_zyx == SHAPE
    assert not image.values.any()
    assert not image.around(GRID.to_lps([[4, 4, 4]]), 3.0).values.any()


def test_what_is_no_uint8_or_cut_short_is_an_error(tmp_path):
    write_volume(tmp_path / "ct.nii.gz", Volume(values().astype(np.int16), GRID))
    with pytest.raises(ValueError, match="found data type 4, expected 2"):
        read_image(tmp_path / "ct.nii.gz")
    write_labels(tmp_path / "a.nii.gz", LabelMap(values(), GRID))
    data = gzip.decompress((tmp_path / "a.nii.gz").read_bytes())
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(data[:-50]))
    with pytest.raises(ValueError, match="reshape"):
        read_image(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("low", [(0, 0, 0), (1, 0, 2)])
def test_blocks_are_one_voxel_each(tmp_path, low):
    """Labels that were found on means of 2 x 1 x 3 voxels, wherever the first block begins."""
    blocks = (2, 1, 3)
    coarse = np.zeros((3, 11, 3), np.uint8)
    coarse[1:, 2:5, :2] = 4
    coarse[0, 3, 2] = 9
    box = tuple(slice(k, k + n * b) for k, n, b in zip(low, coarse.shape, blocks, strict=True))
    write_placed_labels(tmp_path / "a.nii.gz", PlacedLabels(GRID, box, coarse, blocks))
    image = read_image(tmp_path / "a.nii.gz", blocks)
    assert image.shape_zyx == SHAPE
    write_placed_labels(tmp_path / "b.nii.gz", PlacedLabels(GRID, box, coarse[::-1, ::-1], blocks))
    assert image.same_grid(read_image(tmp_path / "b.nii.gz", blocks))
    assert not image.same_grid(read_image(tmp_path / "b.nii.gz"))
    np.testing.assert_array_equal(image.values, coarse[:, 2:5])
    np.testing.assert_allclose(image.spacing_xyz[::-1], np.multiply(blocks, GRID.spacing_zyx_mm))
    index = np.argwhere(coarse == 9) * blocks + low + (np.array(blocks) - 1) / 2
    np.testing.assert_allclose(image.points(image.values == 9), GRID.to_lps(index), atol=1e-4)
    far = image.around(GRID.to_lps([[0, 0, 0], SHAPE]), 50.0)
    assert (np.multiply(far.values.shape, blocks) > np.array(SHAPE) - 2 * np.array(blocks)).all()
    assert np.count_nonzero(far.values) == np.count_nonzero(coarse)


def test_labels_that_are_no_blocks_are_an_error(tmp_path):
    write_labels(tmp_path / "a.nii.gz", LabelMap(values(), GRID))
    with pytest.raises(ValueError, match="expected whole blocks"):
        read_image(tmp_path / "a.nii.gz", (2, 1, 1))
    with pytest.raises(ValueError, match="differ within a block"):
        read_image(tmp_path / "a.nii.gz", (1, 1, 2))
    write_labels(tmp_path / "b.nii.gz", LabelMap(np.zeros(SHAPE, np.uint8), GRID))
    assert read_image(tmp_path / "b.nii.gz", (2, 2, 2)).shape_zyx == SHAPE
