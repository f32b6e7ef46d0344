"""Landmarks on the labels: found from a wrong start, mirrored with the patient, left out where not seen."""

from __future__ import annotations

import numpy as np
import pytest

from planner.labels import Label, Side
from planner.segmentation import Bones, find_bearings, load_shape_model
from planner.segmentation.bearings import FlatPlace
from planner.segmentation.density import density_findings, s1_trabecular_hu
from planner.segmentation.model import ShapeFit
from planner.volume import LabelMap, Volume
from sample_data.phantom import Phantom

MODEL = load_shape_model()

HIP_NAMES = ("psis", "piis", "asis", "sciatic_notch")


def bones_of(phantom: Phantom, off_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Bones:
    """The phantom's own labels with a fit that is off."""
    landmarks = {name: place + np.array(off_mm) for name, place in phantom.landmarks_lps.items()}
    vertices = MODEL.split(phantom.frame.to_lps(MODEL.mean))
    fit = ShapeFit(vertices, {}, np.eye(4), np.zeros(0), 0.0, landmarks)
    return Bones(phantom.labels, fit, phantom.frame, {})


def test_all_landmarks_are_found_near_where_the_phantom_has_them(phantom: Phantom) -> None:
    found = find_bearings(phantom.volume, bones_of(phantom)).landmarks_lps
    wanted = {f"{side}_{name}" for side in Side for name in HIP_NAMES}
    assert set(found) == wanted | {"promontory", "s1_endplate_centre", "symphysis"}
    # where a rim is flat its deepest place is not sharp along it
    for name in set(found) & set(phantom.landmarks_lps):
        assert np.linalg.norm(found[name] - phantom.landmarks_lps[name]) < (9.0 if "notch" in name else 6.0), name


@pytest.mark.parametrize("off_mm", [(3.0, -4.0, 3.0), (-4.0, 3.0, -4.0)])
def test_a_wrong_start_leads_to_the_same_place(phantom: Phantom, off_mm: tuple[float, float, float]) -> None:
    straight = find_bearings(phantom.volume, bones_of(phantom))
    shifted = find_bearings(phantom.volume, bones_of(phantom, off_mm))
    for side in Side:
        for name in ("psis", "asis"):
            place = f"{side}_{name}"
            assert np.linalg.norm(straight.landmarks_lps[place] - shifted.landmarks_lps[place]) < 2.5, place
    assert straight.endplate is not None
    assert shifted.endplate is not None
    assert straight.endplate.normal_lps @ shifted.endplate.normal_lps > np.cos(np.radians(4.0))
    assert abs((shifted.endplate.point_lps - straight.endplate.point_lps) @ straight.endplate.normal_lps) < 1.0


def test_the_symmetric_phantom_has_symmetric_landmarks(phantom: Phantom) -> None:
    found = find_bearings(phantom.volume, bones_of(phantom))
    pelvic = {name: phantom.frame.to_pelvic(place) for name, place in found.landmarks_lps.items()}
    for name in ("psis", "asis", "piis"):
        mirrored = pelvic[f"right_{name}"] * (-1.0, 1.0, 1.0)
        assert np.linalg.norm(pelvic[f"left_{name}"] - mirrored) < 3.0, name
    assert found.anterior_plane is not None
    normal = phantom.frame.lps_from_pelvic[:3, :3].T @ found.anterior_plane.normal_lps
    assert abs(normal[0]) < 0.03
    assert normal[1] < -0.9


def test_what_the_scan_does_not_show_is_left_out(phantom: Phantom) -> None:
    bones = bones_of(phantom)
    cut = int(phantom.volume.grid.to_index(phantom.landmarks_lps["left_sciatic_notch"])[0])
    box = (slice(cut, phantom.volume.hu.shape[0]), *(slice(0, n) for n in phantom.volume.hu.shape[1:]))
    part = Bones(bones.labels.crop(box), bones.fit, bones.frame, {})
    found = find_bearings(phantom.volume.crop(box), part)
    assert "left_sciatic_notch" not in found.landmarks_lps
    assert "symphysis" not in found.landmarks_lps
    assert found.anterior_plane is None
    assert "left_psis" in found.landmarks_lps


def test_a_missing_bone_has_no_landmarks(phantom: Phantom) -> None:
    values = np.where(phantom.labels.values == Label.LEFT_HIP, 0, phantom.labels.values)
    whole = bones_of(phantom)
    found = find_bearings(phantom.volume, Bones(LabelMap(values, phantom.labels.grid), whole.fit, whole.frame, {}))
    assert not [name for name in found.landmarks_lps if name.startswith("left_")]
    assert "right_psis" in found.landmarks_lps
    assert found.anterior_plane is None


def test_without_a_sacrum_there_is_no_endplate(phantom: Phantom) -> None:
    values = np.where(phantom.labels.values == Label.SACRUM, 0, phantom.labels.values)
    whole = bones_of(phantom)
    found = find_bearings(phantom.volume, Bones(LabelMap(values, phantom.labels.grid), whole.fit, whole.frame, {}))
    assert found.endplate is None
    assert s1_trabecular_hu(phantom.volume, phantom.labels, found.endplate) is None


def test_density_is_the_mean_of_the_body_of_s1(phantom: Phantom) -> None:
    endplate = find_bearings(phantom.volume, bones_of(phantom)).endplate
    flat = Volume(np.full(phantom.volume.hu.shape, 150, np.int16), phantom.volume.grid)
    assert s1_trabecular_hu(flat, phantom.labels, endplate) == pytest.approx(150.0)
    measured = s1_trabecular_hu(phantom.volume, phantom.labels, endplate)
    assert measured is not None
    assert 60 < measured < 400


def test_density_is_unknown_outside_the_bone(phantom: Phantom) -> None:
    away = FlatPlace(phantom.landmarks_lps["s1_endplate_centre"] + (0.0, -60.0, 0.0), np.array([0.0, 0.0, 1.0]))
    assert s1_trabecular_hu(phantom.volume, phantom.labels, away) is None
    outside = FlatPlace(np.full(3, 9000.0), np.array([0.0, 0.0, 1.0]))
    assert s1_trabecular_hu(phantom.volume, phantom.labels, outside) is None


@pytest.mark.parametrize(("hu", "level"), [(None, None), (170.0, None), (150.0, "note"), (100.0, "warn")])
def test_low_density_is_said_in_two_steps(hu: float | None, level: str | None) -> None:
    assert [(f.code, f.level.value) for f in density_findings(hu)] == ([("low-bone-density", level)] if level else [])
