"""Gas, metal and accessory joints: each on a case with it and one without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.joint.bridges import bridge_limit_mm2
from planner.joint.config import JointConfig
from planner.joint.extract import extract_joint
from planner.joint.model import Zone
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
