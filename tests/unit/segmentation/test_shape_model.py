from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from planner.segmentation import BONE_NAMES, load_shape_model
from planner.segmentation.shape_model import pack, similarity, unpack, vertex_normals

MODEL = load_shape_model()


def signed_volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize("bone", BONE_NAMES)
def test_surfaces_are_closed_and_face_outward(bone: str) -> None:
    faces = MODEL.faces_of(bone)
    edges = np.vstack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist()
    forward = sorted((a, b) for a, b in edges)
    backward = sorted((b, a) for a, b in edges)
    assert forward == backward
    assert signed_volume(MODEL.mean[MODEL.span(bone)], faces) > 1e5


def test_mean_is_symmetric_and_lies_supine() -> None:
    left, right = MODEL.mean[MODEL.span("left_hip")], MODEL.mean[MODEL.span("right_hip")]
    off = cKDTree(right * [-1, 1, 1]).query(left)[0]
    assert np.median(off) < 2.0
    assert left[:, 0].mean() > 50 > -50 > right[:, 0].mean()
    places = MODEL.landmarks_on(MODEL.mean)
    assert places["left_psis"][1] > places["left_asis"][1] + 80
    assert places["left_asis"][2] > places["left_ischial_spine"][2]
    assert places["promontory"][1] < places["left_s1_dorsal"][1]


@pytest.mark.parametrize("side", ["left", "right"])
def test_landmarks_lie_on_their_side(side: str) -> None:
    places = MODEL.landmarks_on(MODEL.mean)
    sign = 1 if side == "left" else -1
    names = [n for n in places if n.startswith(side)]
    assert len(names) == 6 + 6
    assert all(places[n][0] * sign > 10 for n in names)


def test_foramina_are_spaced_like_published_ones() -> None:
    places = MODEL.landmarks_on(MODEL.mean)
    step = np.linalg.norm(places["left_s1_dorsal"] - places["left_s2_dorsal"])
    assert 10 < step < 32  # 14.2 mm along the bone, and the mouths lie on its slope (10.1007/s00276-010-0735-0)
    across = places["left_s1_ventral"][0] - places["right_s1_ventral"][0]
    assert 25 < across < 55


def test_reconstruct_is_linear() -> None:
    c = np.array([1.5, -0.5, 2.0])
    expected = MODEL.mean + sum(k * m for k, m in zip(c, MODEL.modes, strict=False))
    np.testing.assert_allclose(MODEL.reconstruct(c), expected, atol=1e-9)
    np.testing.assert_array_equal(MODEL.reconstruct(np.zeros(40)), MODEL.mean)


def test_modes_fall_in_size() -> None:
    assert (np.diff(MODEL.deviations) < 0.02).all()
    assert MODEL.deviations[0] > 3.0


def test_pack_round_trip_is_exact() -> None:
    packed = pack(MODEL)
    again = pack(unpack(packed))
    assert packed.keys() == again.keys()
    for name, array in packed.items():
        np.testing.assert_array_equal(array, again[name], err_msg=name)


def test_normals_of_a_tetrahedron_point_away_from_its_centre() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
    normals = vertex_normals(vertices, faces)
    assert (((vertices - vertices.mean(axis=0)) * normals).sum(axis=1) > 0).all()
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0)


@settings(deadline=None, derandomize=True, max_examples=15)
@given(st.floats(0.5, 2.0), st.tuples(*[st.floats(-3, 3)] * 3), st.tuples(*[st.floats(-100, 100)] * 3))
def test_similarity_recovers_what_was_applied(scale: float, turn: tuple[float, ...], shift: tuple[float, ...]) -> None:
    source = np.random.default_rng(1).normal(size=(30, 3))
    rotation = Rotation.from_rotvec(turn).as_matrix()
    found = similarity(source, scale * source @ rotation.T + shift)
    assert found[0] == pytest.approx(scale)
    np.testing.assert_allclose(found[1], rotation, atol=1e-8)
    np.testing.assert_allclose(found[2], shift, atol=1e-7)
