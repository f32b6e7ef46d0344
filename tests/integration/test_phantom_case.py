"""From a DICOM folder to a checked plan, on the phantom, whose truth is known."""

from __future__ import annotations

import json

import numpy as np
import pytest
import zarr
from scipy.spatial import cKDTree

from pipelines.results import write_case
from planner import NOTICE
from planner.case import CaseSettings, plan_case
from planner.config import load_config
from planner.given_labels import read_given_labels
from planner.images import read_labels, write_labels, write_volume
from planner.labels import Label, Side
from planner.reading import read_scan
from planner.stages import StageLog
from planner.verify import verify_folder
from planner.volume import Volume
from sample_data import PhantomSpec, make_phantom, write_dicom_series

NEURAL_MM = 3.0
"""What every proposed path promises (clinical notes, section 4)."""

SURFACE_SAMPLES = 24


@pytest.fixture(scope="module")
def result(phantom, tmp_path_factory):
    """Result folder of the phantom, read from DICOM."""
    folder = tmp_path_factory.mktemp("case")
    write_dicom_series(phantom.volume, folder / "dicom")
    write_case(plan_case(folder / "dicom", CaseSettings()), folder / "plan")
    return folder / "plan"


@pytest.fixture(scope="module")
def plan(result):
    return json.loads((result / "plan.json").read_text())


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def cylinder(candidate):
    """Points on the surface of a candidate's implant."""
    entry, tip = (np.array(candidate[f"implant_{end}_lps_mm"]) for end in ("entry", "tip"))
    axis = (tip - entry) / np.linalg.norm(tip - entry)
    across = np.cross(axis, (0.0, 0.0, 1.0))
    across /= np.linalg.norm(across)
    turn = np.linspace(0, 2 * np.pi, SURFACE_SAMPLES, endpoint=False)[:, None]
    rim = (np.cos(turn) * across + np.sin(turn) * np.cross(axis, across)) * candidate["implant"]["diameter_mm"] / 2
    along = np.linspace(0, 1, SURFACE_SAMPLES)[:, None, None]
    return (entry + along * (tip - entry) + rim).reshape(-1, 3)


def candidates(plan):
    return [(side, c) for side, entry in plan["sides"].items() for c in entry["candidates"]]


def test_both_sides_are_planned(plan):
    assert {side: entry["status"] for side, entry in plan["sides"].items()} == {"left": "planned", "right": "planned"}
    assert plan["input"]["complete"] is True


@pytest.mark.parametrize("label", [Label.SACRUM, Label.LEFT_HIP, Label.RIGHT_HIP])
def test_bones_are_those_of_the_truth(result, phantom, label):
    labels = read_labels(result / "labels.nii.gz")
    assert labels.grid.same_as(phantom.volume.grid)
    assert dice(labels.values == label, phantom.labels.values == label) > 0.9


def test_every_path_keeps_its_distance_from_the_true_nerves(plan, phantom):
    nerves = cKDTree(phantom.keepout.grid.to_lps(np.argwhere(phantom.keepout.values > 0)))
    half_voxel = np.linalg.norm(phantom.volume.grid.spacing_zyx_mm) / 2
    for _, candidate in candidates(plan):
        true_mm = nerves.query(cylinder(candidate))[0].min()
        assert true_mm >= NEURAL_MM
        assert candidate["clearance"]["neural"]["proven_mm"] <= true_mm + half_voxel


def test_every_dowel_lies_in_the_true_joint(plan, phantom):
    for side, candidate in candidates(plan):
        middle = np.mean([candidate["implant_entry_lps_mm"], candidate["implant_tip_lps_mm"]], axis=0)
        truth = phantom.joints[Side(side)]
        assert abs(truth.offset_mm(middle)) < 3.0
        low, high = truth.thirds_bounds_mm()[1:3]
        tolerance_mm = 2.0
        assert low - tolerance_mm <= middle @ truth.frame.cranial_lps <= high + tolerance_mm


def test_entry_is_from_behind_and_on_the_proper_side(plan):
    for side, candidate in candidates(plan):
        entry, tip = candidate["implant_entry_lps_mm"], candidate["implant_tip_lps_mm"]
        assert entry[1] > tip[1]
        assert np.sign(tip[0] - entry[0]) == Side(side).lateral_x
        skin = candidate["skin_entry_lps_mm"]
        assert skin is not None
        assert skin[1] > entry[1]


def test_folder_is_that_of_the_contract(result):
    names = {path.name for path in result.iterdir()}
    assert names == {
        "plan.json", "labels.nii.gz", "keepout.nii.gz", "joint_left.ply", "joint_right.ply", "figures", "manifest.json",
        "labels.seg.nrrd", "keepout.seg.nrrd", "markups", "meshes", "dicom", "report.pdf", "report.html",
    }  # fmt: skip
    assert (result / "dicom" / "document_report.dcm").is_file()
    for folder, ending in (("figures", "png"), ("markups", "mrk.json"), ("meshes", "stl"), ("dicom", "dcm")):
        assert list((result / folder).glob(f"*.{ending}"))


def test_manifest_tells_versions_settings_and_cost(result):
    manifest = json.loads((result / "manifest.json").read_text())
    assert manifest["notice"] == NOTICE
    assert manifest["versions"]["numpy"]
    assert manifest["settings"]["config"]["trajectory"]
    stages = [stage["name"] for stage in manifest["stages"]]
    assert stages[0] == "read"
    assert stages[-2:] == ["search trajectories", "turn the C-arm"]


def test_verification_agrees(result):
    verification = verify_folder(result)
    assert [check for check in verification.checks if not check.passed] == []


def test_the_patient_is_in_objects_of_the_study_and_nowhere_else(result):
    for path in result.rglob("*"):
        assert "PHANTOM" not in path.name
        if path.is_file():
            assert (b"PHANTOM^" in path.read_bytes()) == (path.parent.name == "dicom")


def test_same_bytes_from_another_format_and_axis_order(result, phantom, tmp_path):
    turned = phantom.volume.grid.lps_from_zyx.copy()
    turned[:3, 3] = phantom.volume.grid.to_lps((0, 0, phantom.volume.hu.shape[2] - 1))
    turned[:3, 2] *= -1
    flipped = Volume(phantom.volume.hu[:, :, ::-1].copy(), type(phantom.volume.grid)(phantom.volume.hu.shape, turned))
    write_volume(tmp_path / "flipped.nii.gz", flipped)
    write_case(plan_case(tmp_path / "flipped.nii.gz", CaseSettings()), tmp_path / "plan", figures=False)
    assert not (tmp_path / "plan" / "dicom").exists()
    manifest = json.loads((tmp_path / "plan" / "manifest.json").read_text())
    assert manifest["dicom"] == {"written": False, "reason": "the input is not DICOM"}
    assert (tmp_path / "plan" / "plan.json").read_bytes() == (result / "plan.json").read_bytes()
    ours = read_labels(tmp_path / "plan" / "labels.nii.gz").values[:, :, ::-1]
    assert np.array_equal(ours, read_labels(result / "labels.nii.gz").values)


def test_same_bytes_from_chunks_on_disk(result, phantom, tmp_path):
    """An OME-Zarr that says where its axes point is the same scan."""
    group = zarr.open_group(str(tmp_path / "ct.ome.zarr"), mode="w")
    group.create_array("0", shape=phantom.volume.hu.shape, chunks=(32, 64, 64), dtype="i2")[:] = phantom.volume.hu
    towards = ("inferior-to-superior", "anterior-to-posterior", "right-to-left")
    axes = [
        {"name": name, "type": "space", "unit": "millimeter", "orientation": {"type": "anatomical", "value": value}}
        for name, value in zip("zyx", towards, strict=True)
    ]
    scale = {"type": "scale", "scale": phantom.volume.grid.spacing_zyx_mm.tolist()}
    shift = {"type": "translation", "translation": phantom.volume.grid.origin_lps_mm[::-1].tolist()}
    level = {"path": "0", "coordinateTransformations": [scale, shift]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [level]}]}
    write_case(plan_case(tmp_path / "ct.ome.zarr", CaseSettings()), tmp_path / "plan", figures=False)
    for name in ("plan.json", "labels.nii.gz", "keepout.nii.gz"):
        assert (tmp_path / "plan" / name).read_bytes() == (result / name).read_bytes(), name


def test_our_own_dicom_segmentation_gives_the_same_labels(result):
    labels = read_labels(result / "labels.nii.gz")
    given = read_given_labels(result / "dicom" / "seg.dcm", read_scan(result.parent / "dicom").grid)
    assert np.array_equal(given.labels.values, labels.values)
    assert given.findings == ()


def test_given_labels_are_kept(phantom, tmp_path):
    write_labels(tmp_path / "given.nii.gz", phantom.labels)
    write_volume(tmp_path / "ct.nii.gz", phantom.volume)
    case = plan_case(tmp_path / "ct.nii.gz", CaseSettings(labels=tmp_path / "given.nii.gz"))
    given = case.place.from_input(phantom.labels).values
    for label in (Label.SACRUM, Label.LEFT_HIP, Label.RIGHT_HIP):
        assert dice(case.anatomy.bones.labels.values == label, given == label) > 0.99
    assert case.plans[Side.LEFT].candidates


def test_one_side_on_request(phantom, tmp_path):
    write_volume(tmp_path / "ct.nii.gz", phantom.volume)
    told = []
    case = plan_case(tmp_path / "ct.nii.gz", CaseSettings(sides=(Side.RIGHT,)), StageLog(told.append))
    assert case.plans[Side.LEFT].status == "not-planned"
    assert case.plans[Side.RIGHT].status == "planned"
    assert told[0] == "read"


def test_impossible_demands_give_no_path_and_the_reason(phantom, tmp_path):
    write_volume(tmp_path / "ct.nii.gz", phantom.volume)
    (tmp_path / "strict.toml").write_text("[trajectory.constraints]\nsegmentation_margin_mm = 40.0\n")
    settings = CaseSettings(sides=(Side.LEFT,), config=load_config(tmp_path / "strict.toml"))
    plan = plan_case(tmp_path / "ct.nii.gz", settings).plans[Side.LEFT]
    assert plan.status == "no-safe-path"
    assert "neural" in plan.reason
    assert plan.candidates == ()


def test_a_scan_that_ends_inside_the_joint_says_so(tmp_path):
    phantom = make_phantom(PhantomSpec(spacing_zyx_mm=(2.0, 2.0, 2.0), z_range_mm=(15.0, 105.0)))
    write_volume(tmp_path / "ct.nii.gz", phantom.volume)
    case = plan_case(tmp_path / "ct.nii.gz", CaseSettings())
    assert {plan.status for plan in case.plans.values()} == {"not-planned"}
    assert case.document.input.complete is False
    assert "joint-truncated" in {finding.code for finding in case.document.findings}


def test_slices_too_thick_to_plan_are_measured_only(tmp_path):
    phantom = make_phantom(PhantomSpec(spacing_zyx_mm=(4.0, 1.5, 1.5)))
    write_volume(tmp_path / "ct.nii.gz", phantom.volume)
    case = plan_case(tmp_path / "ct.nii.gz", CaseSettings())
    assert {plan.status for plan in case.plans.values()} == {"not-planned"}
    assert "spacing" in case.plans[Side.LEFT].reason
    assert set(case.anatomy.joints) == set(Side)
