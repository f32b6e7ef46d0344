"""The joint's PLY file."""

from __future__ import annotations

import numpy as np
import pytest

from planner import NOTICE
from planner.errors import UnreadableFileError
from planner.joint.config import JointConfig
from planner.joint.ply import read_joint_ply, write_joint_ply
from planner.labels import Side


@pytest.fixture
def joint(make_plates, joint_of):
    return joint_of(*make_plates(), Side.LEFT, JointConfig(use_profiles=False))


def test_round_trip(joint, tmp_path):
    write_joint_ply(tmp_path / "a.ply", joint)
    vertices, faces = read_joint_ply(tmp_path / "a.ply")
    np.testing.assert_array_equal(np.stack([vertices[n] for n in "xyz"], 1), joint.vertices_lps)
    for name in ("gap_mm", "zone", "third"):
        np.testing.assert_array_equal(vertices[name], getattr(joint, name))
    np.testing.assert_array_equal(faces, joint.faces)


def test_bytes_are_the_same_twice_and_carry_the_notice(joint, tmp_path):
    for name in ("a.ply", "b.ply"):
        write_joint_ply(tmp_path / name, joint)
    first = (tmp_path / "a.ply").read_bytes()
    assert first == (tmp_path / "b.ply").read_bytes()
    assert NOTICE.encode() in first.partition(b"end_header")[0]


def test_another_program_reads_it(joint, tmp_path):
    trimesh = pytest.importorskip("trimesh")
    write_joint_ply(tmp_path / "a.ply", joint)
    mesh = trimesh.load(tmp_path / "a.ply", process=False)
    np.testing.assert_allclose(mesh.vertices, joint.vertices_lps)
    np.testing.assert_array_equal(mesh.faces, joint.faces)


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:40], lambda b: b.replace(b"zone", b"zona")])
def test_damaged_file_is_refused_by_name(joint, tmp_path, damage):
    write_joint_ply(tmp_path / "a.ply", joint)
    (tmp_path / "a.ply").write_bytes(damage((tmp_path / "a.ply").read_bytes()))
    with pytest.raises(UnreadableFileError, match=r"a\.ply"):
        read_joint_ply(tmp_path / "a.ply")
