from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from planner.errors import LabelsError, NoPelvisError
from planner.findings import Level
from planner.grid import Grid, Orientation
from planner.labels import Label, Side
from planner.segmentation import (
    Bones,
    SegmentationConfig,
    bones_from_labels,
    crop_box,
    load_shape_model,
    locate_pelvis,
    segment_bones,
    thin,
)
from planner.segmentation.model import PelvicFrame
from planner.segmentation.quality import judge_bones, position, small
from planner.volume import LabelMap, Volume
from sample_data.phantom import Phantom, PhantomSpec, make_phantom

MODEL = load_shape_model()


@pytest.fixture(scope="module")
def bones(phantom: Phantom) -> Bones:
    return segment_bones(phantom.volume, locate_pelvis(thin(phantom.volume), MODEL), MODEL)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def apart_deg(a: np.ndarray, b: np.ndarray) -> float:
    unit = [m[:3, :3] / np.cbrt(np.linalg.det(m[:3, :3])) for m in (a, b)]
    return float(np.degrees(Rotation.from_matrix(unit[0].T @ unit[1]).magnitude()))


def test_pelvis_is_located(phantom: Phantom) -> None:
    pose = locate_pelvis(thin(phantom.volume), MODEL)
    off = pose.lps_from_model[:3, 3] - phantom.frame.lps_from_pelvic[:3, 3]
    assert np.linalg.norm(off) < 10.0
    assert apart_deg(pose.lps_from_model, phantom.frame.lps_from_pelvic) < 8.0
    assert 0.6 < pose.score <= 1.0


def test_location_is_repeatable_and_stays_in_patient_space(phantom: Phantom) -> None:
    pose = locate_pelvis(thin(phantom.volume), MODEL)
    turned = Orientation((1, 2, 0), (True, False, True))
    stored = Volume(np.ascontiguousarray(turned.apply(phantom.volume.hu)), turned.apply_grid(phantom.volume.grid))
    again, _ = stored.canonical()
    np.testing.assert_array_equal(locate_pelvis(thin(again), MODEL).lps_from_model, pose.lps_from_model)


@pytest.mark.parametrize("bone", [Label.SACRUM, Label.LEFT_HIP, Label.RIGHT_HIP])
def test_bones_match_the_phantom(phantom: Phantom, bones: Bones, bone: Label) -> None:
    assert dice(phantom.labels.values == bone, bones.labels.values == bone) > 0.88


def test_no_femur_or_vertebra_in_the_pelvis(phantom: Phantom, bones: Bones) -> None:
    pelvis = (bones.labels.values > 0) & (bones.labels.values <= Label.RIGHT_HIP)
    others = phantom.labels.values >= Label.LUMBAR
    assert (pelvis & others).sum() < 0.03 * pelvis.sum()


def test_frame_and_sides(phantom: Phantom, bones: Bones) -> None:
    assert apart_deg(bones.frame.lps_from_pelvic, phantom.frame.lps_from_pelvic) < 5.0
    assert bones.planned_sides == (Side.LEFT, Side.RIGHT)
    assert not [f for f in bones.findings if f.code in ("laterality", "metal")]
    assert all(0.0 <= v <= 1.0 for v in bones.confidence.values())


def test_truncation_is_reported(phantom: Phantom, bones: Bones) -> None:
    joint_z = bones.fit.landmarks_lps["left_s2_dorsal"][2]
    k = round(float(phantom.volume.grid.to_index([0.0, 0.0, joint_z])[0]))
    cut = phantom.volume.crop(
        (slice(k, phantom.volume.hu.shape[0]), *(slice(0, n) for n in phantom.volume.hu.shape[1:]))
    )
    found = segment_bones(cut, locate_pelvis(thin(cut), MODEL), MODEL)
    assert {f.side for f in found.findings if f.code == "scan-truncated"} >= {"left", "right"}


def test_crop_box_holds_every_labelled_voxel(phantom: Phantom, bones: Bones) -> None:
    box = crop_box(phantom.volume.grid, locate_pelvis(thin(phantom.volume), MODEL), MODEL)
    inside = np.zeros(phantom.volume.hu.shape, bool)
    inside[box] = True
    pelvis = (phantom.labels.values > 0) & (phantom.labels.values <= Label.RIGHT_HIP)
    assert (pelvis & ~inside).sum() < 0.005 * pelvis.sum()


def test_given_labels_are_kept(phantom: Phantom) -> None:
    given = bones_from_labels(phantom.volume, phantom.labels, MODEL)
    assert np.mean(given.labels.values != phantom.labels.values) < 5e-4  # faces of the joints alone
    assert apart_deg(given.frame.lps_from_pelvic, phantom.frame.lps_from_pelvic) < 5.0
    assert 0.0 < given.confidence["sacrum"] <= 1.0


def test_given_labels_without_a_joint_are_refused(phantom: Phantom) -> None:
    values = np.where(phantom.labels.values == Label.SACRUM, 0, phantom.labels.values).astype(np.uint8)
    with pytest.raises(LabelsError, match="sacrum"):
        bones_from_labels(phantom.volume, LabelMap(values, phantom.labels.grid), MODEL)


def test_given_labels_on_another_grid_are_refused(phantom: Phantom) -> None:
    other = LabelMap(np.zeros((4, 4, 4), np.uint8), Grid.from_spacing((4, 4, 4), 1.0))
    with pytest.raises(LabelsError, match="grid"):
        bones_from_labels(phantom.volume, other, MODEL)


def test_swapped_sides_stop_the_plan(phantom: Phantom, bones: Bones) -> None:
    table = np.array([0, 1, 3, 2, 4, 6, 5], np.uint8)
    swapped = replace(bones, labels=LabelMap(table[bones.labels.values], bones.labels.grid), findings=())
    judged = judge_bones(phantom.volume, swapped, MODEL, SegmentationConfig())
    wrong = [f for f in judged.findings if f.code == "laterality"]
    assert {f.side for f in wrong} == {"left", "right"}
    assert all(f.level is Level.REFUSE for f in wrong)


def test_metal_is_reported(phantom: Phantom, bones: Bones) -> None:
    hu = phantom.volume.hu.copy()
    hu[40:46, 40:46, 40:46] = 3000
    judged = judge_bones(Volume(hu, phantom.volume.grid), bones, MODEL, SegmentationConfig())
    assert "metal" in {f.code for f in judged.findings}


def test_outlines_beside_the_bones_are_doubted(phantom: Phantom, bones: Bones) -> None:
    """The left joint's labels, moved by three voxels, leave their edges; the right joint's stay."""
    nx = phantom.labels.values.shape[2]
    moved = np.roll(phantom.labels.values, 3, axis=0)
    moved[:, :, : nx // 2] = phantom.labels.values[:, :, : nx // 2]
    wrong = replace(bones, labels=LabelMap(moved, phantom.labels.grid))
    judged = judge_bones(phantom.volume, wrong, MODEL, SegmentationConfig())
    assert "left" in {f.side for f in judged.findings if f.code == "low-confidence"}
    sure = judged.joint_sureness
    assert sure[Side.LEFT].confidence < sure[Side.RIGHT].confidence
    assert sure[Side.LEFT].error_mm > sure[Side.RIGHT].error_mm
    assert judged.confidence["left_hip"] < judged.confidence["right_hip"]


def test_a_hip_bone_that_is_not_there_is_not_made_up() -> None:
    spec = PhantomSpec(spacing_zyx_mm=(2.5, 2.5, 2.5), absent_hip=Side.LEFT, z_range_mm=(-90.0, 90.0))
    phantom = make_phantom(spec)
    volume = phantom.volume
    found = segment_bones(volume, locate_pelvis(thin(volume), MODEL), MODEL)
    assert [(f.code, f.side) for f in found.findings if f.code == "bone-missing"] == [("bone-missing", "left")]
    assert not (found.labels.values == Label.LEFT_HIP).any()
    assert found.planned_sides == (Side.RIGHT,)
    assert found.confidence["left_hip"] == 0.0
    right = Label.RIGHT_HIP
    assert dice(found.labels.values == right, phantom.labels.values == right) > 0.85


def test_a_patient_who_lies_against_the_header_is_reported(phantom: Phantom, bones: Bones) -> None:
    prone = np.diag([-1.0, -1.0, 1.0, 1.0]) @ bones.frame.lps_from_pelvic
    assert [f.code for f in position(PelvicFrame(prone))] == ["patient-position"]
    tilted = np.eye(4)
    tilted[:3, :3] = Rotation.from_euler("x", 35, degrees=True).as_matrix()
    assert position(PelvicFrame(tilted @ bones.frame.lps_from_pelvic)) == []


@pytest.mark.parametrize(("scale", "codes"), [(0.8, ["small-pelvis"]), (0.95, [])])
def test_a_small_pelvis_is_for_review_only(bones: Bones, scale: float, codes: list[str]) -> None:
    size = scale / np.cbrt(np.linalg.det(bones.fit.lps_from_model[:3, :3]))
    fit = replace(bones.fit, lps_from_model=bones.fit.lps_from_model @ np.diag([size, size, size, 1.0]))
    assert [f.code for f in small(fit)] == codes


@pytest.mark.parametrize("content", ["soft tissue", "air"])
def test_a_scan_without_bone_is_refused(content: str) -> None:
    hu = np.full((40, 60, 60), 40 if content == "soft tissue" else -1000, np.int16)
    with pytest.raises(NoPelvisError, match="no pelvis found"):
        locate_pelvis(thin(Volume(hu, Grid.from_spacing(hu.shape, 4.0))), MODEL)


def test_a_skull_like_shell_is_refused() -> None:
    z, y, x = np.indices((100, 110, 90)) * 2.0
    radius = np.sqrt(((z - 100) / 0.9) ** 2 + (y - 110) ** 2 + ((x - 90) / 0.8) ** 2)
    hu = np.where(radius < 90, 40, -1000).astype(np.int16)
    hu[(radius > 80) & (radius < 88)] = 900
    with pytest.raises(NoPelvisError):
        locate_pelvis(thin(Volume(hu, Grid.from_spacing(hu.shape, 2.0))), MODEL)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["thorax_crop", "abdomen_crop"])
def test_chest_and_abdomen_are_refused(shared: Path, name: str) -> None:
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.ReadImage(str(shared / "no_pelvis" / f"{name}.nii.gz"))
    hu = sitk.GetArrayFromImage(image).astype(np.int16)
    grid = Grid.from_spacing(hu.shape, image.GetSpacing()[::-1], image.GetOrigin())
    with pytest.raises(NoPelvisError, match="no pelvis found"):
        locate_pelvis(thin(Volume(hu, grid)), MODEL)
