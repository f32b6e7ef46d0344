"""Gas, metal and accessory joints: each on a case with it and one without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.joint import surroundings
from planner.joint.bridges import bridge_limit_mm2
from planner.joint.config import JointConfig
from planner.joint.extract import extract_joint
from planner.joint.mesh import Sheet
from planner.joint.model import Zone
from planner.joint.profiles import GapFit
from planner.joint.sheet import Measured
from planner.joint.surroundings import metal_findings
from planner.labels import Label, Side
from planner.volume import LabelMap, Volume

CONFIG = JointConfig()


def places(volume):
    return volume.grid.to_lps(np.moveaxis(np.indices(volume.hu.shape), 0, -1))


def found(joint):
    return {f.code: f for f in joint.findings}


@pytest.mark.parametrize(("gas_hu", "radius_mm", "said"), [(-700, 10, True), (-90, 10, False), (-700, 1.5, False)])
def test_gas_in_the_joint_is_a_vacuum_phenomenon(make_plates, gas_hu, radius_mm, said):
    volume, bones = make_plates(3.0, 0.0)
    at = places(volume)
    gas = (np.abs(at[..., 0]) < 1.0) & (np.hypot(at[..., 1], at[..., 2]) < radius_mm)
    joint = extract_joint(Volume(np.where(gas, np.int16(gas_hu), volume.hu), volume.grid), bones, Side.LEFT, CONFIG)
    assert ("vacuum" in found(joint)) == said


@pytest.mark.parametrize(("away_mm", "radius_mm", "said"), [(8, 3, True), (22, 3, False), (8, 0.8, False)])
def test_metal_is_reported_near_the_joint_only(make_plates, away_mm, radius_mm, said):
    volume, _ = make_plates(2.0, 0.0)
    joint_lps = np.stack([np.zeros(50), np.zeros(50), np.linspace(-20, 20, 50)], axis=1)
    metal = np.linalg.norm(places(volume) - (away_mm, 0.0, 0.0), axis=-1) < radius_mm
    hu = np.where(metal, np.int16(3000), volume.hu)
    findings = metal_findings(Volume(hu, volume.grid), joint_lps, Side.LEFT)
    assert [(f.code, f.side) for f in findings] == ([("metal-near-joint", "left")] if said else [])


def test_joint_outside_the_scan_has_no_metal_near_it(make_plates):
    volume, _ = make_plates()
    assert metal_findings(volume, np.full((4, 3), 900.0), Side.LEFT) == ()


def test_plates_with_screw_through_them_say_so(make_plates):
    volume, bones = make_plates(2.0, 0.0)
    at = places(volume)
    hu = np.where(np.hypot(at[..., 1] - 8, at[..., 2]) < 3, np.int16(3000), volume.hu)
    assert "metal-near-joint" in found(extract_joint(Volume(hu, volume.grid), bones, Side.LEFT, CONFIG))


@pytest.mark.parametrize(("radius_mm", "said"), [(6.0, True), (2.0, False)])
def test_a_contact_in_the_recess_is_an_accessory_joint(make_plates, radius_mm, said):
    """Behind the articular zone the gap is 8 mm wide; there a spur of the ilium comes near the sacrum."""
    volume, bones = make_plates(2.0, 0.0)
    at, values = places(volume), bones.labels.values.copy()
    hu = volume.hu.copy()
    recess = (at[..., 0] >= -1) & (at[..., 0] < 7) & (at[..., 1] > 0) & (np.abs(at[..., 2]) < 25)
    spur = recess & (at[..., 0] > 0.5) & (np.hypot(at[..., 1] - 12, at[..., 2]) < radius_mm)
    values[recess] = np.where(spur, Label.LEFT_HIP, 0)[recess]
    hu[recess] = np.where(spur, 800, 90)[recess]
    bones = replace(bones, labels=LabelMap(values, bones.labels.grid))
    joint = extract_joint(Volume(hu, volume.grid), bones, Side.LEFT, CONFIG)
    assert (joint.zone == Zone.LIGAMENTOUS).any()
    assert ("accessory-joint" in found(joint)) == said


def test_coarse_voxels_ask_for_a_larger_bridge(make_plates):
    fine, coarse = (make_plates(spacing_zyx_mm=(mm, 1.0, 1.0))[0].grid for mm in (1.0, 2.5))
    assert bridge_limit_mm2(fine, CONFIG) == CONFIG.bridge_area_mm2
    assert bridge_limit_mm2(coarse, CONFIG) == pytest.approx(2 * CONFIG.bridge_area_mm2)


def test_a_contact_before_the_joint_is_not_in_the_way(make_plates):
    """The bones meet again at the front edge of plates whose articular part lies behind."""
    volume, bones = make_plates(2.0, 0.0)
    at, values, hu = places(volume), bones.labels.values.copy(), volume.hu.copy()
    gap = (at[..., 0] >= -1) & (at[..., 0] < 7) & (at[..., 1] < 0) & (np.abs(at[..., 2]) < 25)
    spur = gap & (at[..., 0] > 0.5) & (np.hypot(at[..., 1] + 12, at[..., 2]) < 6.0)
    values[gap] = np.where(spur, Label.LEFT_HIP, 0)[gap]
    hu[gap] = np.where(spur, 800, 90)[gap]
    bones = replace(bones, labels=LabelMap(values, bones.labels.grid))
    joint = extract_joint(Volume(hu, volume.grid), bones, Side.LEFT, CONFIG)
    assert (joint.zone == Zone.LIGAMENTOUS).any()
    assert "accessory-joint" not in found(joint)


def sheet_of(gap_of):
    """Make an upright sheet of 50 x 50 mm between bones that are `gap_of(y, z)` apart, y posterior and z cranial."""
    z, y = np.meshgrid(np.arange(-25.0, 26.0), np.arange(-25.0, 26.0), indexing="ij")
    points = np.stack([np.zeros(z.size), y.ravel(), z.ravel()], axis=1)
    corner = np.arange(z.size).reshape(z.shape)[:-1, :-1].ravel()
    faces = np.concatenate([corner[:, None] + steps for steps in ([0, 1, 51], [1, 52, 51])]).astype(np.int32)
    half = np.array([gap_of(*place) for place in points[:, 1:].tolist()]) / 2
    return Measured(Sheet(points, faces), half, half, np.tile([1.0, 0.0, 0.0], (len(half), 1)), np.zeros(len(half)))


def runs_on(y, z):
    return 1.7 if y < 10 or abs(z) < 12 else 8.0


def runs_on_by_a_neck(y, z):
    return 1.7 if y < 10 or abs(z) < (2.5 if y < 15 else 8) else 8.0


def lies_apart(y, z):
    return 1.7 if y < 10 or (y > 15 and abs(z) < 7) else 8.0


def lies_above(y, z):
    return 1.7 if y < 10 or (y > 13 and z > 21) else 8.0


@pytest.mark.parametrize(
    ("gap_of", "said"), [(runs_on, False), (runs_on_by_a_neck, True), (lies_apart, True), (lies_above, False)]
)
def test_an_accessory_joint_lies_apart_from_the_joint_and_not_above_it(make_plates, monkeypatch, gap_of, said):
    """Behind 10 mm the bones usually lie apart."""
    measured, (_, bones) = sheet_of(gap_of), make_plates()
    place = measured.sheet.vertices_lps
    monkeypatch.setattr(surroundings, "in_recess", lambda points, *_: points[:, 1] > 10)
    findings = surroundings.accessory_joint_findings(measured, place[:, 1] < 10, bones, Side.LEFT)
    assert [f.code for f in findings] == ["accessory-joint"] * said


@pytest.mark.parametrize(
    ("usual_hu", "lowest_hu", "said"),
    [(90.0, -130.0, True), (90.0, -110.0, False), (-50.0, -330.0, False), (-50.0, -350.0, True)],
)
def test_gas_is_darker_than_what_a_sharp_kernel_makes_of_a_gap(usual_hu, lowest_hu, said):
    measured = sheet_of(lambda y, z: 1.7)
    place = measured.sheet.vertices_lps
    count = len(place)
    lowest = np.where(np.hypot(place[:, 1], place[:, 2]) < 4, lowest_hu, usual_hu)
    zeros = np.zeros(count)
    fit = GapFit(zeros, zeros, zeros, lowest, zeros, zeros > 0, 0.5, 1.8)
    findings = surroundings.vacuum_findings(measured, fit, np.ones(count, bool), Side.LEFT)
    assert [f.code for f in findings] == ["vacuum"] * said
