"""The surface beside a plan as verification reads it: its edge, its zones, which way it faces; files that are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.joint.ply import write_joint_ply
from planner.labels import Side
from planner.verify.surface import JointSurface, read_surface

from support.slab_pelvis import DEPTH_MM, HALF_HEIGHT_MM, SlabPelvis

PELVIS = SlabPelvis()


@pytest.fixture
def path(tmp_path):
    write_joint_ply(tmp_path / "joint_left.ply", PELVIS.joint(Side.LEFT))
    return tmp_path / "joint_left.ply"


def test_a_surface_is_read_as_it_was_written(path):
    joint, found = PELVIS.joint(Side.LEFT), read_surface(path)
    for name in ("vertices_lps", "faces", "zone", "third"):
        assert np.array_equal(getattr(found, name), getattr(joint, name))


def test_its_edge_is_the_joints_margin_and_no_hole(path):
    found = read_surface(path)
    middle = len(found.vertices_lps) // 2
    holed = replace(found, faces=found.faces[~(found.faces == middle).any(axis=1)])
    for surface in (found, holed):
        depth, _, up = PELVIS.local(surface.edge_lps, Side.LEFT).T
        assert len(surface.edge_lps) == 2 * (DEPTH_MM + 2 * HALF_HEIGHT_MM) / 2
        rim = np.isclose(depth, 0) | np.isclose(depth, DEPTH_MM) | np.isclose(np.abs(up), HALF_HEIGHT_MM)
        assert rim.all()


def test_it_faces_from_sacrum_to_ilium(path):
    out = np.diff(PELVIS.world([[0, 0, 0], [0, 1, 0]], Side.LEFT), axis=0)[0]
    assert read_surface(path).facing_lps == pytest.approx(out)


def test_distances_are_to_each_zone(path):
    found = read_surface(path)
    zone = np.where(PELVIS.local(found.vertices_lps, Side.LEFT)[:, 0] < 10, 2, 1).astype(np.uint8)
    place = PELVIS.world([[20.0, 3.0, 0.0]], Side.LEFT)
    articular, ligamentous = replace(found, zone=zone).distances(place)
    assert articular[0] == pytest.approx(3)
    assert ligamentous[0] == pytest.approx(np.hypot(12, 3))
    assert np.isinf(found.distances(place)[1]).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:-3], "not what its header says"),
        (lambda data: data.replace(b"uchar zone", b"uchar tone"), "not the surface of a joint"),
        (lambda data: data[:-4] + b"\xff\xff\xff\x7f", "places that are none"),
        (lambda data: b"{", "not the surface of a joint"),
    ],
)
def test_what_is_no_surface_is_told(path, change, words):
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=words):
        read_surface(path)


def test_a_sheet_without_an_edge_has_none():
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
    closed = JointSurface(corners, faces, np.ones(4, np.uint8), np.full(4, 2, np.uint8))
    assert closed.edge_lps.shape == (0, 3)
