"""Made variants of a pelvis of plates: what they add is where it is said to be."""

from __future__ import annotations

import numpy as np
import pytest

from planner.labels import Label, Side
from sample_data.inlays import InlayKind
from sample_data.joint_variants import across_joint, recess_place, with_deep_crests, with_facets, with_spur
from sample_data.made_patient import Places
from sample_data.signed_distance import DistanceField, sample_affine

STEP_MM = 1.0
LOW, HIGH = (-60.0, -30.0, -40.0), (60.0, 45.0, 45.0)
JOINT_MM, RECESS_GAP_MM = 2.0, 8.0


def field(inside_mm) -> DistanceField:
    axes = [np.arange(a, b, STEP_MM) for a, b in zip(LOW, HIGH, strict=True)]
    z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    return DistanceField(inside_mm(x, y, z).astype(np.float32), np.array(LOW), STEP_MM)


@pytest.fixture(scope="module")
def bones() -> dict[Label, DistanceField]:
    """Blocks whose gap is 2 mm wide before y = 10 and 8 mm behind."""

    def half(y):
        return np.where(y < 10.0, JOINT_MM, RECESS_GAP_MM) / 2

    return {
        Label.SACRUM: field(lambda x, y, z: np.maximum(np.abs(x) - 30.0 + half(y), np.abs(z) - 30.0)),
        Label.LEFT_HIP: field(lambda x, y, z: np.maximum(30.0 + half(y) - x, np.abs(z) - 35.0)),
        Label.RIGHT_HIP: field(lambda x, y, z: np.maximum(30.0 + half(y) + x, np.abs(z) - 35.0)),
    }


@pytest.fixture(scope="module")
def places() -> Places:
    y, z = (v.ravel() for v in np.meshgrid(np.arange(-20, 10, 2.0), np.arange(-28, 29, 2.0)))
    joints = {side: np.column_stack([np.full(len(y), 30.0 * side.lateral_x), y, z]) for side in Side}
    heads = {side: (np.array([60.0 * side.lateral_x, -40.0, -60.0]), 22.0) for side in Side}
    return Places(joints, heads, np.array(LOW), np.array(HIGH))


def at(bone: DistanceField, point: np.ndarray) -> float:
    matrix = np.eye(4)
    matrix[:3, 3] = point
    return float(sample_affine(bone, matrix, (1, 1, 1))[0, 0, 0])


@pytest.mark.parametrize("side", Side)
def test_the_recess_lies_behind_the_joint_and_clear_of_it(bones, places, side):
    place = recess_place(bones, places, side)
    assert place.centre[0] == pytest.approx(30.0 * side.lateral_x, abs=2)
    assert place.centre[1] > 15.0
    assert place.gap_mm == pytest.approx(RECESS_GAP_MM, abs=1)
    np.testing.assert_allclose(place.across, (side.lateral_x, 0, 0), atol=0.1)


def test_facets_meet_in_the_recess_and_change_nothing_else(bones, places):
    place = recess_place(bones, places, Side.LEFT)
    changed = with_facets(bones, Side.LEFT, place, 10.0)
    for label in (Label.SACRUM, Label.LEFT_HIP):
        assert at(bones[label], place.centre) > 3.0
        assert abs(at(changed[label], place.centre)) < 0.8
    far = np.array([30.0, -10.0, 0.0])
    assert at(changed[Label.SACRUM], far) == pytest.approx(at(bones[Label.SACRUM], far), abs=1e-3)
    assert changed[Label.RIGHT_HIP] is bones[Label.RIGHT_HIP]


def test_a_spur_of_the_ilium_reaches_the_sacrum(bones, places):
    place = recess_place(bones, places, Side.RIGHT)
    changed = with_spur(bones, Side.RIGHT, place, 10.0)
    sacral_face = place.centre - place.across * place.gap_mm / 2
    assert abs(at(changed[Label.RIGHT_HIP], sacral_face)) < 1.0
    assert at(changed[Label.RIGHT_HIP], place.centre) < -1.0
    assert changed[Label.SACRUM] is bones[Label.SACRUM]


def test_deep_crests_and_a_high_s1(bones, places):
    changed = with_deep_crests(bones, places, share=0.5, rise_mm=5.0)

    def top(label: Label, x: float) -> float:
        heights = np.arange(0.0, 44.0, 0.25)
        inside = [z for z in heights if at(changed[label], np.array([x, 0.0, z])) < 0]
        return max(inside)

    crest = float(np.quantile(places.joints[Side.LEFT][:, 2], 0.9))
    assert top(Label.LEFT_HIP, 45.0) == pytest.approx(crest + (35.0 - crest) / 2, abs=1)
    assert 30.5 < top(Label.SACRUM, 0.0) <= 35.5


def test_a_screw_lies_across_its_joint(places):
    screw = across_joint(places, Side.RIGHT, 3.0)
    assert screw.kind is InlayKind.METAL
    assert screw.over_bone
    (row,) = screw.rows
    assert row[0] > -30.0 > row[3]
