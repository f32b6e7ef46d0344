"""Cuts of the mid-surface and its margins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.joint.config import JointConfig
from planner.joint.extract import extract_joint
from planner.joint.lines import anterior_margin_lps, dorsal_mouth_at, dorsal_mouth_lps, joint_line, joint_line_by_zone
from planner.joint.model import Joint, Thirds, Zone
from planner.labels import Side

LABELS_ONLY = JointConfig(use_profiles=False)


def square(n=11):
    """A flat sheet in the plane x = 3, from y, z = 0 to 10."""
    y, z = np.meshgrid(np.linspace(0, 10, n), np.linspace(0, 10, n))
    vertices = np.stack([np.full(y.size, 3.0), y.ravel(), z.ravel()], axis=1)
    cell = np.array([i * n + j for i in range(n - 1) for j in range(n - 1)])
    faces = np.vstack([np.stack([cell, cell + 1, cell + n], 1), np.stack([cell + 1, cell + n + 1, cell + n], 1)])
    count = len(vertices)
    thirds = Thirds("brandt-transverse", np.array([0.0, 0.0, 1.0]), np.linspace(0, 10, 4), True)
    ones = np.ones(count, np.uint8)
    gap = np.full(count, 2.0, np.float32)
    return Joint(Side.LEFT, vertices, faces.astype(np.int32), gap, ones, ones, thirds, 100.0, 2.0, 2.0, False)


@pytest.mark.parametrize("height", [0.5, 3.0, 7.77])
def test_axial_cut_of_a_square_is_one_straight_line(height):
    lines = joint_line(square(), (0, 0, height), (0, 0, 5))
    assert len(lines) == 1
    line = lines[0]
    np.testing.assert_allclose(line[:, 2], height, atol=1e-6)
    np.testing.assert_allclose(line[:, 0], 3.0)
    assert abs(np.linalg.norm(np.diff(line, axis=0), axis=1).sum() - 10.0) < 1e-6
    assert np.all(np.diff(line[:, 1]) > 0) or np.all(np.diff(line[:, 1]) < 0)


def test_oblique_cut_stays_in_its_plane_and_on_the_sheet():
    normal = np.array([0.3, 0.5, 0.8])
    for line in joint_line(square(), (3, 4, 5), normal):
        np.testing.assert_allclose((line - (3, 4, 5)) @ normal, 0, atol=1e-9)
        np.testing.assert_allclose(line[:, 0], 3.0)


def test_plane_beside_the_joint_cuts_nothing():
    assert joint_line(square(), (0, 0, 20), (0, 0, 1)) == []


def test_cut_of_a_closed_surface_closes():
    tetra = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0], [0, 0, 4]], float)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
    base = square()
    few = np.ones(4, np.uint8)
    joint = Joint(base.side, tetra, faces, few.astype(np.float32), few, few, base.thirds, 1.0, 1.0, 1.0, False)
    (line,) = joint_line(joint, (0, 0, 1), (0, 0, 1))
    np.testing.assert_array_equal(line[0], line[-1])
    assert len(line) == 4


def test_margins_of_a_square_are_its_ventral_and_dorsal_edges():
    ventral, dorsal = anterior_margin_lps(square()), dorsal_mouth_lps(square())
    np.testing.assert_allclose(ventral[:, 1], 0.0)
    np.testing.assert_allclose(dorsal[:, 1], 10.0)
    assert ventral[0, 2] > ventral[-1, 2]


def test_margins_follow_the_patient_and_not_the_table():
    prone = replace(square(), posterior_lps=np.array([0.0, -1.0, 0.0]))
    np.testing.assert_allclose(anterior_margin_lps(prone)[:, 1], 10.0)
    np.testing.assert_allclose(dorsal_mouth_lps(prone)[:, 1], 0.0)


def test_margin_of_plates_is_their_front_edge(make_plates):
    volume, bones = make_plates(2.0, 0.0)
    margin = anterior_margin_lps(extract_joint(volume, bones, Side.LEFT, LABELS_ONLY))
    inner = np.abs(margin[:, 2]) < 20
    assert np.abs(margin[inner, 1] + 20.0).max() < 3.5


def test_empty_joint_has_no_lines(make_plates):
    volume, bones = make_plates()
    empty = extract_joint(volume, bones, Side.RIGHT, LABELS_ONLY)
    assert joint_line(empty, (0, 0, 0), (0, 0, 1)) == []
    assert len(anterior_margin_lps(empty)) == 0


def test_dorsal_mouth_at_a_height():
    np.testing.assert_allclose(dorsal_mouth_at(square(), (20.0, -5.0, 4.0)), (3.0, 10.0, 4.0), atol=1.0)
    assert dorsal_mouth_at(square(), (3.0, 10.0, 30.0)) is None


def test_pieces_by_zone_make_up_the_line():
    joint = square()
    zone = np.where(joint.vertices_lps[:, 1] < 4.5, Zone.ARTICULAR, Zone.LIGAMENTOUS).astype(np.uint8)
    pieces = joint_line_by_zone(replace(joint, zone=zone), (0, 0, 4.3), (0, 0, 1))
    length = {z: np.linalg.norm(p[:, 1] - p[:, 0], axis=1).sum() for z, p in pieces.items()}
    assert sum(length.values()) == pytest.approx(10.0)
    assert length[Zone.ARTICULAR] == pytest.approx(4.5, abs=0.6)
    assert pieces[Zone.ARTICULAR][..., 1].max() < 6.0 <= pieces[Zone.LIGAMENTOUS][..., 1].max()
