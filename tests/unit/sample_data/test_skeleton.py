from __future__ import annotations

import numpy as np
import pytest

from planner.labels import Side
from planner.segmentation.shape_model import load_shape_model
from sample_data.bone_surfaces import drawing_shift, warp
from sample_data.closed_forms import Points
from sample_data.neighbours import DISCS, VERTEBRAE, Femur
from sample_data.scene import L5_CLEARANCE_MM, build_scene
from sample_data.skeleton import JointSpec, Skeleton, build_skeleton
from sample_data.spec import PhantomSpec


@pytest.fixture(scope="module")
def skeleton() -> Skeleton:
    return build_skeleton(JointSpec())


def cloud(n: int = 20000) -> Points:
    rng = np.random.default_rng(1)
    return Points.of(rng.uniform((0, -30, -60), (100, 85, 75), (n, 3)))


def at_offset(skeleton: Skeleton, offset_mm: float) -> Points:
    """Places in the left articular zone at this distance from the mid-surface, away from its rim."""
    joint = skeleton.joints[Side.LEFT]
    sheet = joint.sheet(2.0)
    sheet = sheet[joint.margin_mm(sheet[:, 1], sheet[:, 2]) < -1.5]
    step = 0.05
    y, z = sheet[:, 1], sheet[:, 2]
    slope_y = (joint.lateral_mm(y + step, z) - joint.lateral_mm(y - step, z)) / (2 * step)
    slope_z = (joint.lateral_mm(y, z + step) - joint.lateral_mm(y, z - step)) / (2 * step)
    normal = np.stack([np.ones(len(y)), -slope_y, -slope_z], 1) / np.sqrt(1 + slope_y**2 + slope_z**2)[:, None]
    return Points.of(sheet + offset_mm * normal)


@pytest.mark.parametrize("gap", [1.0, 1.7, 3.5])
def test_both_faces_lie_half_a_gap_from_the_mid_surface(gap: float) -> None:
    skeleton = build_skeleton(JointSpec(gap_mm=gap))
    outside, inside = gap / 2 - 0.05, gap / 2 + 0.05
    assert (skeleton.sacrum(at_offset(skeleton, -outside)) > 0).all()
    assert (skeleton.sacrum(at_offset(skeleton, -inside)) < 0).all()
    assert (skeleton.hip(at_offset(skeleton, outside), Side.LEFT) > 0).all()
    assert (skeleton.hip(at_offset(skeleton, inside), Side.LEFT) < 0).all()


def test_bones_do_not_overlap(skeleton: Skeleton) -> None:
    p = cloud()
    both = (skeleton.sacrum(p) < 0) & (skeleton.hip(p, Side.LEFT) < 0)
    assert not both.any()


def test_facing_bones_are_nowhere_nearer_than_the_gap(skeleton: Skeleton) -> None:
    """Also at the rim of the articular zone, where the closed parts blend into the atlas's surfaces."""
    p = Points.of(np.random.default_rng(4).uniform((25, -15, -20), (75, 70, 62), (400_000, 3)))
    sacrum, hip = skeleton.sacrum(p), skeleton.hip(p, Side.LEFT)
    between = (np.abs(sacrum - hip) < 0.3) & (sacrum + hip < 8)
    assert between.sum() > 1000
    assert (sacrum + hip)[between].min() > 1.69


def test_the_default_is_its_own_mirror_image(skeleton: Skeleton) -> None:
    p = cloud()
    mirrored = Points(-p.x, p.y, p.z)
    assert np.abs(skeleton.sacrum(p) - skeleton.sacrum(mirrored)).max() < 1e-3
    assert np.abs(skeleton.hip(p, Side.LEFT) - skeleton.hip(mirrored, Side.RIGHT)).max() < 1e-3


def test_an_asymmetric_skeleton_is_not() -> None:
    other = build_skeleton(JointSpec(), symmetric=False)
    p = cloud()
    left, right = other.hip(p, Side.LEFT), other.hip(Points(-p.x, p.y, p.z), Side.RIGHT)
    assert np.abs(left - right).max() > 0.3


def test_a_warp_moves_the_bones(skeleton: Skeleton) -> None:
    plain = build_skeleton(JointSpec(), warp_mm=0.0)
    moved = np.abs(plain.sacrum_field.at_points(cloud()) - skeleton.sacrum_field.at_points(cloud()))
    assert 0.2 < np.quantile(moved, 0.9) < 3.0


def test_a_warp_is_no_combination_of_the_shape_models_modes() -> None:
    model = load_shape_model()
    mean = model.mean + drawing_shift(model)
    x, y, z = mean.T
    one, none = np.ones_like(x), np.zeros_like(x)
    rigid = [[one, none, none], [none, one, none], [none, none, one], [none, -z, y], [z, none, -x], [-y, x, none]]
    moves = np.concatenate([np.array(rigid).swapaxes(1, 2), [mean], model.modes]).reshape(7 + len(model.modes), -1)
    displacement = warp(mean, 1.5).ravel()
    left = displacement - moves.T @ np.linalg.lstsq(moves.T, displacement, rcond=None)[0]
    assert np.sqrt((left.reshape(-1, 3) ** 2).sum(axis=1).mean()) > 0.2


def test_shape_coefficients_change_the_bones_and_carry_the_joint_along() -> None:
    skeleton = build_skeleton(JointSpec(), (1.5, -1.0, 1.0))
    outside, inside = 0.8, 0.9
    assert (skeleton.sacrum(at_offset(skeleton, -outside)) > 0).all()
    assert (skeleton.hip(at_offset(skeleton, inside), Side.LEFT) < 0).all()
    mean = build_skeleton(JointSpec())
    assert np.linalg.norm(skeleton.landmarks["left_asis"] - mean.landmarks["left_asis"]) > 3


def test_the_femoral_head_lies_in_the_socket_with_a_joint_space(skeleton: Skeleton) -> None:
    centre, radius = skeleton.heads[Side.LEFT]
    angles = np.random.default_rng(0).normal(size=(2000, 3))
    unit = angles / np.linalg.norm(angles, axis=1, keepdims=True)
    surface = Points.of(centre + radius * unit)
    to_hip = skeleton.hip(surface, Side.LEFT)
    assert to_hip.min() > 2.0
    assert np.mean(to_hip < 6.0) > 0.3
    assert 19 < radius < 28


def test_landmarks_lie_on_the_bones(skeleton: Skeleton) -> None:
    for name in ("psis", "asis", "piis"):
        place = skeleton.landmarks[f"left_{name}"]
        assert abs(float(skeleton.hip(Points.of([place]), Side.LEFT)[0])) < 3.0, name
        assert skeleton.landmarks[f"right_{name}"] == pytest.approx(place * (-1, 1, 1))


def test_the_sacrum_goes_on_to_the_coccyx_and_curves_ventrally(skeleton: Skeleton) -> None:
    s5, coccyx = Points.of([(0, 65, -40)]), Points.of([(0, 50, -65)])
    assert skeleton.sacrum(s5)[0] < 0
    assert skeleton.sacrum(coccyx)[0] < 0


def test_a_bridge_joins_both_bones() -> None:
    skeleton = build_skeleton(JointSpec(ankylosis=frozenset({Side.LEFT})))
    joint = skeleton.joints[Side.LEFT]
    y, z = 34.0, 8.0
    x = float(joint.lateral_mm(np.array(y), np.array(z)))
    across = Points.of([(x + d, y, z) for d in np.linspace(-2, 2, 21)])
    bone = np.minimum(skeleton.sacrum(across), skeleton.hip(across, Side.LEFT))
    assert bone.max() > 0.5
    assert np.minimum(bone, skeleton.bridge(across, Side.LEFT)).max() < 0


def test_l5_keeps_off_the_sacrum_and_the_disc_fills_the_space() -> None:
    scene = build_scene(PhantomSpec())
    lumbar = next(part for part in scene.bones() if part.label == 4)
    rng = np.random.default_rng(2)
    p = Points.of(rng.uniform((-50, -45, 30), (50, 60, 120), (30000, 3)))
    bone = lumbar.distance(p) < 0
    assert bone.mean() > 0.02
    assert scene.skeleton.outer_sacrum(p)[bone].min() >= L5_CLEARANCE_MM
    between = Points.of([(0, -5, 51)])
    assert DISCS[0].distance(between)[0] < 0
    assert lumbar.distance(between)[0] > 0


def test_vertebrae_are_stacked_with_an_open_canal_behind_them() -> None:
    body, canal, spinous = (Points.of([q]) for q in ((0, -12, 68), (0, 9, 74), (0, 38, 80)))
    assert VERTEBRAE[0].distance(body)[0] < -5
    assert VERTEBRAE[0].distance(canal)[0] > 2
    assert VERTEBRAE[0].distance(spinous)[0] < 0
    assert VERTEBRAE[1].distance(body)[0] > 5


def test_a_femur_has_head_neck_and_shaft() -> None:
    femur = Femur(np.array([83.0, -28.0, -60.0]), 23.0)
    head, neck, shaft, below = (
        Points.of([q]) for q in ((83, -28, -60), (108, -24, -78), (121, -21, -130), (83, -28, -110))
    )
    assert femur.distance(head)[0] == pytest.approx(-23, abs=2)
    assert femur.distance(neck)[0] < -5
    assert femur.distance(shaft)[0] < -5
    assert femur.distance(below)[0] > 5
