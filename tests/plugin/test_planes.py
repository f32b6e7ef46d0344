"""Planes: letters agree with the patient, pixels with the voxels, cuts with closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sacroplan.meshes import implant_mesh
from napari_sacroplan.placement import Placement
from napari_sacroplan.planes import (
    STANDARD,
    Plane,
    along_joint_plane,
    cut_mesh,
    down_plane,
    out_of_joint_plane,
    ring_mm,
    sample_plane,
)
from planner.grid import Grid
from planner.volume import LabelMap, Volume

FORWARD = Placement(np.array([30.0, 60.0, 0.0]), np.array([30.0, 40.0, 0.0]), 8.0)
OUT = np.array([1.0, 0.0, 0.0])
BOX = Placement(
    FORWARD.entry_lps,
    FORWARD.tip_lps,
    12.0,
    np.array([[6.0, 2], [-6, 2], [-6, -2], [6, -2]]),
    np.array([[0.0, 0, 1], OUT]),
)
"""12 mm to cranial, 4 mm across the joint."""


@pytest.mark.parametrize(
    ("name", "left", "right", "top", "bottom"),
    [("axial", "R", "L", "A", "P"), ("coronal", "R", "L", "S", "I"), ("sagittal", "A", "P", "S", "I")],
)
def test_standard_views_are_the_radiologists(name, left, right, top, bottom):
    assert STANDARD[name].letters == {"left": left, "right": right, "top": top, "bottom": bottom}


def test_down_the_implant_is_seen_from_behind():
    plane = down_plane(FORWARD)
    assert plane.letters == {"left": "L", "right": "R", "top": "S", "bottom": "I"}
    assert np.allclose(plane.normal_lps, FORWARD.direction_lps)


def test_planes_through_the_implant_hold_its_axis():
    for plane in (along_joint_plane(FORWARD, OUT), out_of_joint_plane(FORWARD, OUT)):
        assert plane.off_mm(FORWARD.entry_lps) == pytest.approx(0)
        assert plane.off_mm(FORWARD.tip_lps) == pytest.approx(0)
    assert along_joint_plane(FORWARD, OUT).letters == {"left": "A", "right": "P", "top": "S", "bottom": "I"}
    assert out_of_joint_plane(FORWARD, OUT).letters == {"left": "R", "right": "L", "top": "A", "bottom": "P"}


def test_an_oblique_edge_has_two_letters():
    axis = np.array([np.cos(np.radians(30)), np.sin(np.radians(30)), 0.0])
    plane = Plane("oblique", np.zeros(3), axis, np.array([0.0, 0.0, -1.0]))
    assert (plane.letters["right"], plane.letters["left"], plane.letters["top"]) == ("LP", "RA", "S")


def test_millimetres_of_a_plane_and_back():
    plane = along_joint_plane(FORWARD, OUT)
    mm = np.array([[3.0, -4.0], [0.0, 0.0]])
    assert np.allclose(plane.to_mm(plane.to_lps(mm)), mm)


def volume():
    rng = np.random.default_rng(0)
    turned = np.array([[0, 0.1, 0.9], [0.05, 0.8, 0.1], [1.5, 0, 0]])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turned, (-5, 10, 100)
    grid = Grid((6, 9, 8), matrix)
    hu = rng.integers(-1000, 1000, grid.shape_zyx).astype(np.int16)
    bones, keepouts = (LabelMap(rng.integers(0, 4, grid.shape_zyx).astype(np.uint8), grid) for _ in range(2))
    return Volume(hu, grid), (bones, keepouts)


def test_pixels_are_the_voxels_that_they_lie_on():
    scan, labels = volume()
    for index in ((2, 3, 4), (0, 0, 0), (5, 8, 7)):
        plane = STANDARD["axial"].at(scan.grid.to_lps(index))
        hu, bones, keepouts = sample_plane(scan, labels, plane, (1, 1), 1.0)
        assert hu[0, 0] == scan.hu[index]
        assert (bones[0, 0], keepouts[0, 0]) == (labels[0].values[index], labels[1].values[index])


def test_pixels_agree_with_scipys_interpolation():
    from scipy import ndimage as ndi

    scan, labels = volume()
    plane = Plane("oblique", scan.grid.to_lps((2.4, 4.2, 3.7)), np.array([0.8, 0.6, 0]), np.array([-0.6, 0.8, 0]))
    hu, bones, _ = sample_plane(scan, labels, plane, (5, 7), 0.4)
    down, right = np.mgrid[-2:3, -3:4] * 0.4
    index = scan.grid.to_index(plane.to_lps(np.stack([right, down], axis=-1))).reshape(-1, 3).T
    assert np.abs(ndi.map_coordinates(scan.hu.astype(float), index, order=1).reshape(5, 7) - hu).max() <= 0.51
    assert np.array_equal(ndi.map_coordinates(labels[0].values, index, order=0).reshape(5, 7), bones)


def test_beyond_the_scan_is_air_without_label():
    scan, labels = volume()
    hu, bones, keepouts = sample_plane(scan, labels, STANDARD["axial"].at((900.0, 0, 0)), (2, 2), 1.0)
    assert (hu == -1024).all()
    assert not bones.any()
    assert not keepouts.any()


def test_a_cylinder_is_cut_in_a_circle_across_and_a_rectangle_along():
    vertices, faces = implant_mesh(FORWARD)
    segments, _ = cut_mesh(vertices, faces, down_plane(FORWARD))
    radii = np.linalg.norm(segments.reshape(-1, 2), axis=1)
    assert radii.max() == pytest.approx(4.0, abs=1e-4)
    assert radii.min() == pytest.approx(4.0, abs=0.02)
    segments, _ = cut_mesh(vertices, faces, out_of_joint_plane(FORWARD, OUT))
    corners = segments.reshape(-1, 2)
    assert np.allclose([corners.min(axis=0), corners.max(axis=0)], [[-4, -10], [4, 10]], atol=0.02)


@pytest.mark.parametrize(
    ("plane", "half_mm"),
    [
        (down_plane(BOX), (2, 6)),
        (along_joint_plane(BOX, OUT), (10, 6)),
        (out_of_joint_plane(BOX, OUT), (2, 10)),
        (STANDARD["axial"].at(BOX.centre_lps), (2, 10)),
        (STANDARD["coronal"].at(BOX.centre_lps), (2, 6)),
        (STANDARD["sagittal"].at(BOX.centre_lps), (10, 6)),
    ],
    ids=lambda value: value.name if isinstance(value, Plane) else "",
)
def test_a_box_is_cut_in_its_own_rectangle_in_all_six_views(plane, half_mm):
    segments, _ = cut_mesh(*implant_mesh(BOX), plane)
    ends = np.abs(segments.reshape(-1, 2))
    assert np.allclose(ends.max(axis=0), half_mm, atol=1e-4)
    assert (np.abs(ends - half_mm).min(axis=1) < 1e-4).all()  # each on an edge


@pytest.mark.parametrize(("placement", "half_mm"), [(FORWARD, (7, 7)), (BOX, (5, 9))])
def test_the_ring_lies_three_millimetres_outside_the_outline(placement, half_mm):
    ring = ring_mm(placement, down_plane(placement), 3.0)
    assert np.allclose(np.abs(ring).max(axis=0), half_mm, atol=0.02)
    edge = np.maximum(np.abs(ring) - (np.array(half_mm) - 3), 0) if placement is BOX else np.abs(ring)
    assert np.allclose(np.linalg.norm(edge, axis=1), 3 if placement is BOX else 7, atol=0.02)


def test_a_plane_beside_a_surface_cuts_nothing():
    segments, triangles = cut_mesh(*implant_mesh(FORWARD), STANDARD["axial"].at((0.0, 0.0, 50.0)))
    assert segments.shape == (0, 2, 2)
    assert not len(triangles)
