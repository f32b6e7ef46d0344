"""Surfaces lie on the labels, are closed and outward, and come back out of every file."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from planner import NOTICE
from planner.exports.mesh_files import MESH_WRITERS
from planner.exports.surfaces import bone_surface, implant_surface
from planner.grid import Grid
from planner.labels import Label
from planner.segmentation.shapes import boxes_of
from planner.volume import LabelMap

from support.made_plan import GRIDS

RADIUS_MM = 20.0


def ball(spacing_mm):
    """A ball about a point that is no voxel's centre."""
    centre = np.array([3.3, -12.1, -600.7])
    shape = tuple(int(60 / mm) for mm in spacing_mm)
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3)[::-1].T * spacing_mm
    matrix[:3, 3] = centre - matrix[:3, :3] @ ((np.array(shape) - 1) / 2)
    grid = Grid(shape, matrix)
    away = np.linalg.norm(grid.to_lps(np.moveaxis(np.indices(shape), 0, -1)) - centre, axis=-1)
    return LabelMap((away <= RADIUS_MM).astype(np.uint8), grid), centre


def surface_of(labels, value=1, cell_mm=1.5):
    return bone_surface(labels, value, boxes_of(labels.values)[value], cell_mm)


def as_trimesh(surface):
    return trimesh.Trimesh(surface.vertices_lps, surface.faces, process=False)


@pytest.mark.parametrize("spacing_mm", [(0.7, 0.5, 0.5), (1.0, 0.8, 0.8), (3.0, 1.0, 1.0)], ids=str)
def test_a_ball_is_round_to_half_a_voxel(spacing_mm):
    labels, centre = ball(spacing_mm)
    surface = surface_of(labels)
    away = np.linalg.norm(surface.vertices_lps - centre, axis=1) - RADIUS_MM
    assert np.abs(away).max() <= max(0.75, 0.6 * max(spacing_mm))
    mesh = as_trimesh(surface)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * RADIUS_MM**3, rel=0.025)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_surfaces_face_outward_on_every_grid(grid):
    values = np.zeros(grid.shape_zyx, np.uint8)
    values[2:7, 3:11, 4:13] = 1
    mesh = as_trimesh(surface_of(LabelMap(values, grid)))
    true = 5 * 8 * 9 * np.prod(grid.spacing_zyx_mm)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(true, rel=0.12)  # corners of so few voxels are cut
    assert mesh.centroid == pytest.approx(grid.to_lps((4, 6.5, 8)), abs=0.05)


def test_a_mirrored_grid_faces_outward_too():
    matrix = np.diag([1.5, 1.5, 3.0, 1.0])[:, [2, 1, 0, 3]]
    matrix[:3, 2] *= -1
    values = np.zeros((9, 14, 16), np.uint8)
    values[2:7, 3:11, 4:13] = 1
    assert as_trimesh(surface_of(LabelMap(values, Grid(values.shape, matrix)))).volume > 0


def test_a_bone_that_the_scan_cuts_off_is_closed():
    labels, _ = ball((1.0, 1.0, 1.0))
    half = labels.crop((slice(0, 30), slice(0, 60), slice(0, 60)))
    mesh = as_trimesh(surface_of(half))
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(2 / 3 * np.pi * RADIUS_MM**3, rel=0.04)


def test_only_the_label_asked_for_is_drawn():
    labels, centre = ball((1.0, 1.0, 1.0))
    values = labels.values * np.uint8(Label.LEFT_HIP)
    values[:10, :10, :10] = Label.SACRUM
    surface = surface_of(LabelMap(values, labels.grid), Label.LEFT_HIP)
    assert np.linalg.norm(surface.vertices_lps - centre, axis=1).max() < RADIUS_MM + 1


def test_an_implant_is_a_closed_cylinder():
    entry, tip = np.array([30.0, 40.0, -600.0]), np.array([40.0, 22.5, -610.0])
    surface = implant_surface(entry, tip, 8.0)
    mesh = as_trimesh(surface)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(np.pi * 16 * np.linalg.norm(tip - entry), rel=0.005)
    assert surface.vertices_lps[-2:] == pytest.approx(np.array([entry, tip]))


@pytest.mark.parametrize("order", [1, -1])
def test_an_implant_that_is_not_round_is_a_closed_prism(order):
    tip, corners = np.array([0.0, 0, 20.0]), np.array([[4.0, 2, 0], [-4, 2, 0], [-4, -2, 0], [4, -2, 0]])[::order]
    mesh = as_trimesh(implant_surface(np.zeros(3), tip, 8.0, corners))
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(8 * 4 * 20)
    assert mesh.extents == pytest.approx([8, 4, 20])


@pytest.mark.parametrize("kind", sorted(MESH_WRITERS))
def test_points_come_back_from_every_format(kind, tmp_path):
    labels, _ = ball((1.0, 1.0, 1.0))
    surface = surface_of(labels, cell_mm=4.0)
    path = tmp_path / f"ball.{kind}"
    MESH_WRITERS[kind](path, surface)
    found = trimesh.load(path, process=False)
    corners = np.asarray(found.vertices)[np.asarray(found.faces)]
    assert corners == pytest.approx(surface.vertices_lps[surface.faces], abs=0.001)
    head = path.read_bytes()[:200].decode("ascii", "replace")
    assert "SPACE=LPS" in head
    assert NOTICE in head


def test_stl_is_binary_and_says_its_frame_within_its_header(tmp_path):
    surface = implant_surface((0, 0, 0), (0, 0, 20.0), 8.0)
    MESH_WRITERS["stl"](tmp_path / "a.stl", surface)
    content = (tmp_path / "a.stl").read_bytes()
    assert not content.startswith(b"solid")
    assert b"SPACE=LPS" in content[:80]
    assert NOTICE.encode() in content[:80]
    assert len(content) == 84 + 50 * len(surface.faces)


@pytest.mark.parametrize("voxels", [1, 2, 5])
def test_a_few_voxels_have_a_surface_too(voxels):
    values = np.zeros((12, 12, 12), np.uint8)
    values[6, 6, 4 : 4 + voxels] = 1
    grid = Grid.from_spacing(values.shape, 0.4)
    mesh = as_trimesh(surface_of(LabelMap(values, grid)))
    assert mesh.is_watertight
    assert mesh.volume > 0
    assert mesh.centroid == pytest.approx(grid.to_lps((6, 6, 4 + (voxels - 1) / 2)), abs=0.01)
