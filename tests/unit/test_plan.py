"""plan.json holds what the stages found, rounded, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from planner import NOTICE
from planner.findings import Finding, Level
from planner.joint.limbs import Limbs
from planner.joint.measures import GapMeasure, JointMeasures
from planner.joint.model import Joint, Third, Thirds
from planner.keepout.model import Foramen
from planner.labels import Side
from planner.plan import (
    InputDocument,
    PlanDocument,
    describe_difference,
    describe_frame,
    describe_side,
    finding_document,
    landmark_points,
    relate_to_planes,
)
from planner.segmentation.bearings import Bearings, FlatPlace
from planner.segmentation.model import PelvicFrame, Sureness
from planner.trajectory.model import Candidate, Clearance, PlacementError, SidePlan

CANDIDATE = Candidate(
    grade="amber",
    score=0.61234567,
    terms={"clearance": 0.5, "articular": 1.0},
    implant_id="GENERIC-DOWEL",
    diameter_mm=8.0,
    length_mm=20.0,
    implant_entry_lps=np.array([30.12345, 40.0, -100.0]),
    implant_tip_lps=np.array([40.0, 22.5, -100.0]),
    skin_entry_lps=np.array([1.0, 2.0, 3.0]),
    third="middle",
    articular_share=0.75,
    depth_from_bone_mm=31.0,
    depth_from_skin_mm=80.0,
    axial_to_sagittal_deg=20.0,
    cranial_tilt_deg=5.0,
    c_arm={"down_the_implant": (20.0, 5.0)},
    clearances={"neural": Clearance(4.2, 3.87654321, np.array([25.0, 35.0, -98.0]))},
    breach=PlacementError(0.01, 0.08),
    safe_entry_radius_mm=2.0,
    hu_shell_mean=212.34,
    binding="neural",
)
PLAN = SidePlan(Side.LEFT, "planned", "", (CANDIDATE,), {"neural-clearance": 7, "containment": 2})
JOINT = Joint(
    side=Side.LEFT,
    vertices_lps=np.zeros((3, 3)),
    faces=np.array([[0, 1, 2]], np.int32),
    gap_mm=np.ones(3, np.float32),
    zone=np.ones(3, np.uint8),
    third=np.ones(3, np.uint8),
    thirds=Thirds("brandt-transverse", np.array([0.0, 0.0, 1.0]), np.array([-150.0, -130.0, -110.0, -90.0]), True),
    articular_area_mm2=1502.34,
    gap_median_mm=1.7123456,
    gap_p95_mm=3.0,
    truncated=False,
)
FORAMINA = (
    Foramen(Side.LEFT, "S1", "dorsal", np.array([20.0, 40.0, -90.0]), 8.5, 0.9),
    Foramen(Side.RIGHT, "S1", "dorsal", np.array([-20.0, 40.0, -90.0]), 8.5, 0.9),
)
LANDMARKS = {"left_psis": np.array([40.0, 60.0, -95.0]), "right_psis": np.array([-40.0, 60.0, -95.0])}


def document(plan=PLAN, joint=JOINT):
    return PlanDocument(
        input=InputDocument(sha256="ab", shape_zyx=(3, 4, 5), spacing_zyx_mm=(3.0, 1.0, 1.0), complete=True),
        findings=[finding_document(Finding("slice-spacing", Level.NOTE, "both", "3 mm"))],
        sides={
            "left": describe_side(plan, joint, FORAMINA, LANDMARKS),
            "right": describe_side(
                SidePlan(Side.RIGHT, "not-planned", "Not asked.", (), {}), None, FORAMINA, LANDMARKS
            ),
        },
    )


def left(**changes):
    plan = replace(PLAN, candidates=(replace(CANDIDATE, **changes),))
    return json.loads(document(plan).to_json())["sides"]["left"]["candidates"][0]


def test_top_level_is_that_of_the_contract():
    text = json.loads(document().to_json())
    assert list(text)[:6] == ["schema", "notice", "input", "segmentation", "findings", "sides"]
    assert text["schema"] == "sacroplan.plan/1"
    assert text["notice"] == NOTICE
    assert text["findings"] == [{"code": "slice-spacing", "level": "note", "side": "both", "message": "3 mm"}]


def test_candidate_holds_the_contracts_keys():
    wanted = {
        "rank", "grade", "score", "terms", "implant", "implant_entry_lps_mm", "implant_tip_lps_mm", "skin_entry_lps_mm",
        "third", "articular_share", "depth_from_bone_mm", "depth_from_skin_mm", "angles_deg", "c_arm", "clearance",
        "breach_probability", "hu_shell_mean",
    }  # fmt: skip
    assert wanted <= set(left())
    assert left()["c_arm"] == {"down_the_implant": {"orbital_deg": 20.0, "tilt_deg": 5.0}}


def test_each_side_holds_only_its_own_anatomy():
    sides = json.loads(document().to_json())["sides"]
    assert sides["left"]["landmarks"] == {"psis_lps_mm": [40.0, 60.0, -95.0]}
    assert sides["right"]["landmarks"] == {"psis_lps_mm": [-40.0, 60.0, -95.0]}
    assert [f["centre_lps_mm"][0] for f in sides["left"]["foramina"]] == [20.0]
    assert sides["right"]["joint"] is None
    assert sides["left"]["joint"]["surface"] == "joint_left.ply"


def test_numbers_are_rounded_but_a_bound_never_up():
    assert left()["implant_entry_lps_mm"][0] == 30.123
    assert left()["score"] == 0.6123
    assert left()["clearance"]["neural"]["proven_mm"] == 3.876


def test_skin_outside_the_scan_is_null():
    entry = left(skin_entry_lps=np.full(3, np.nan), depth_from_skin_mm=float("nan"))
    assert entry["skin_entry_lps_mm"] is None
    assert entry["depth_from_skin_mm"] is None


def test_unknown_thirds_have_no_bounds():
    joint = replace(JOINT, thirds=replace(JOINT.thirds, known=False), truncated=True)
    entry = json.loads(document(joint=joint).to_json())["sides"]["left"]["joint"]
    assert entry["thirds"]["bounds_mm"] is None
    assert entry["truncated"] is True


def test_red_is_never_exported():
    with pytest.raises(ValidationError, match="grade"):
        left(grade="red")


def test_infinite_numbers_are_refused():
    with pytest.raises(ValidationError, match="finite"):
        left(hu_shell_mean=float("inf"))


def test_same_plan_gives_the_same_bytes_and_reads_back():
    text = document().to_json()
    assert document().to_json() == text
    assert PlanDocument.model_validate_json(text).to_json() == text


def test_a_joint_says_how_sure_its_outlines_are():
    sure, nothing = Sureness(0.83456, 1.23), Sureness(0.0, float("inf"))
    found = [describe_side(PLAN, JOINT, FORAMINA, LANDMARKS, s).joint for s in (sure, nothing, None)]
    assert [(j.confidence, j.outline_error_mm) for j in found] == [(0.8346, 1.23), (0.0, None), (None, None)]


LIMBS = Limbs(np.array([[1.0, 2.0, 30.0], [1.0, 2.0, 3.0], [1.0, 40.0, 3.0]]), 44.04, 56.0, 20.0, 93.0)
MEASURES = JointMeasures(
    GapMeasure(1500.04, 1.81234, 1.7, 3.0),
    "brandt-transverse",
    {Third.SUPERIOR: GapMeasure(0.0, *[float("nan")] * 3), Third.MIDDLE: GapMeasure(700.0, 1.9, 1.8, 3.1)},
    LIMBS,
)


def test_a_joint_holds_area_and_gap_by_third_and_its_limbs():
    text = describe_side(PLAN, JOINT, FORAMINA, LANDMARKS, measures=MEASURES).model_dump()["joint"]
    assert text["gap_mean_mm"] == 1.812
    assert text["by_third"]["definition"] == "brandt-transverse"
    assert text["by_third"]["middle"]["gap_median_mm"] == 1.8
    assert text["by_third"]["superior"]["gap_mean_mm"] is None
    assert text["by_third"]["inferior"] is None
    assert (text["limbs"]["superior_mm"], text["limbs"]["path_lps_mm"][2]) == (44.0, (1.0, 40.0, 3.0))


def test_a_joint_without_limbs_says_so():
    entry = describe_side(PLAN, JOINT, FORAMINA, LANDMARKS, measures=replace(MEASURES, limbs=None, thirds={})).joint
    assert entry.limbs is None
    assert entry.by_third.middle is None


def test_difference_of_the_sides_is_left_minus_right():
    wider = replace(MEASURES, whole=GapMeasure(1400.0, 2.0, 2.0, 3.0))
    text = describe_difference({Side.LEFT: MEASURES, Side.RIGHT: wider})
    assert (text.whole.area_mm2, text.whole.gap_median_mm) == (100.0, -0.3)
    assert text.by_third.middle.gap_mean_mm == 0.0
    assert describe_difference({Side.LEFT: MEASURES}) is None


@pytest.mark.parametrize("turn_deg", [0.0, 12.0])
def test_slope_and_tilt_are_angles_in_the_frame_and_in_the_scan(turn_deg):
    """An endplate that falls forwards by 40 degrees, and a symphysis 10 degrees behind the spines."""

    def about_x(degrees):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])

    matrix = np.eye(4)
    matrix[:3, :3] = about_x(turn_deg)
    frame = PelvicFrame(matrix)
    endplate = FlatPlace(np.array([1.0, 2.0, 3.0]), about_x(turn_deg + 40.0) @ (0.0, 0.0, 1.0))
    anterior = FlatPlace(np.zeros(3), about_x(turn_deg + 10.0) @ (0.0, -1.0, 0.0))
    text = describe_frame(frame, Bearings({}, endplate, anterior))
    assert text.s1_endplate.slope_deg == pytest.approx(40.0)
    assert text.s1_endplate.slope_in_scan_deg == pytest.approx(40.0 + turn_deg)
    assert text.anterior_pelvic_plane.tilt_deg == pytest.approx(10.0)
    assert text.anterior_pelvic_plane.tilt_in_scan_deg == pytest.approx(10.0 + turn_deg)
    assert text.cranial_lps[2] == pytest.approx(np.cos(np.radians(turn_deg)), abs=1e-6)


def test_a_frame_without_bearings_has_none():
    text = describe_frame(PelvicFrame(np.eye(4)), Bearings({}, None, None))
    assert (text.s1_endplate, text.anterior_pelvic_plane) == (None, None)
    assert text.origin_lps_mm == (0.0, 0.0, 0.0)


def test_landmarks_of_no_side_stand_apart():
    places = {"promontory": np.array([1.0, 2.0, 3.0]), **LANDMARKS}
    assert landmark_points(places) == {"promontory_lps_mm": (1.0, 2.0, 3.0)}


def test_plans_of_before_these_additions_can_still_be_read():
    text = json.loads(document().to_json())
    for key in ("pelvic_frame", "landmarks", "left_minus_right", "s1_trabecular_hu"):
        del text[key]
    for key in ("gap_mean_mm", "by_third", "limbs"):
        del text["sides"]["left"]["joint"][key]
    assert PlanDocument.model_validate(text) == document()


def test_a_path_is_related_to_the_planes_that_were_seen():
    path = CANDIDATE.implant_tip_lps - CANDIDATE.implant_entry_lps
    across = np.cross(path, [0.0, 0.0, 1.0])
    steep = FlatPlace(np.zeros(3), path / np.linalg.norm(path))
    level = FlatPlace(np.zeros(3), across / np.linalg.norm(across))
    side = document().sides["left"]
    angles = relate_to_planes(side, Bearings({}, steep, level)).candidates[0].angles_to_planes_deg
    assert (angles.to_s1_endplate, angles.to_anterior_plane) == (90.0, 0.0)
    back = relate_to_planes(side, Bearings({}, FlatPlace(np.zeros(3), -steep.normal_lps), None)).candidates[0]
    assert (back.angles_to_planes_deg.to_s1_endplate, back.angles_to_planes_deg.to_anterior_plane) == (-90.0, None)
