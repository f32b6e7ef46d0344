"""Implants moved in a made joint: what is left of each constraint, against closed forms; the scan along a path."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from planner.grid import Grid
from planner.labels import Side
from planner.source import ArraySource
from planner.verify.case import Case, Dowel
from planner.verify.image import Image
from planner.verify.moved import Moved
from planner.verify.scan import PathOnScan, check_scan_grid
from planner.verify.surface import JointSurface
from planner.verify.surroundings import surroundings_of
from planner.volume import Volume

from support.slab_pelvis import DEPTH_MM, SlabPelvis

PELVIS = SlabPelvis(axial_deg=0.0)
"""Its joints run straight to anterior, along the voxels."""

RADIUS, LENGTH, DEEP = 4.0, 20.0, 20.0
"""A dowel in the middle of the left joint, its centre 20 mm behind the mouth."""

FRAME = {"left_lps": [1, 0, 0], "posterior_lps": [0, 1, 0], "cranial_lps": [0, 0, 1]}


@pytest.fixture(scope="module")
def moved():
    volume, bones, joints, keepouts = PELVIS.build()
    grid, joint = volume.grid, joints[Side.LEFT]
    labels, keepout = (
        Image(values, grid.lps_from_zyx[:3, 2::-1], grid.origin_lps_mm)
        for values in (bones.labels.values, keepouts.mask.values)
    )
    surface = JointSurface(joint.vertices_lps, joint.faces.astype(np.int64), joint.zone, joint.third)
    entry, tip = PELVIS.world([[DEEP - LENGTH / 2, 0, 0], [DEEP + LENGTH / 2, 0, 0]], Side.LEFT)
    claims = {
        "rank": 1,
        "implant": {"diameter_mm": 2 * RADIUS, "length_mm": LENGTH},
        "implant_entry_lps_mm": entry.tolist(),
        "implant_tip_lps_mm": tip.tolist(),
        "skin_entry_lps_mm": None,
        "depth_from_bone_mm": DEEP + LENGTH / 2,
        "clearance": {"neural": {"mm": 10.0, "proven_mm": 9.0, "at_lps_mm": [0, 0, 0]}},
    }
    thirds = {"axis_lps": [0, 0, 1], "bounds_mm": joint.thirds.bounds_mm.tolist()}
    plan = {"pelvic_frame": FRAME, "sides": {"left": {"candidates": [claims], "joint": {"thirds": thirds}}}}
    case = Case(plan, labels, keepout, {"left": surface})
    dowel = Dowel(case, "left", claims)
    return Moved(dowel, surroundings_of(case, "left", [dowel]))


def test_what_is_left_in_the_middle_of_the_joint(moved):
    left = {name: float(slack[0]) for name, slack in moved.left(moved.here).items()}
    foramen = -PELVIS.foramen_out_mm - RADIUS
    assert left["neural-clearance"] == pytest.approx(foramen - 4, abs=0.6)
    assert left["containment"] == pytest.approx(DEEP - LENGTH / 2, abs=1)  # the nearest way out is behind
    assert left["anterior-margin"] == pytest.approx(DEPTH_MM - DEEP - LENGTH / 2 - 5, abs=1)
    assert left["inferior-third"] == pytest.approx(12 - RADIUS, abs=0.1)
    assert left["in-joint"] == pytest.approx(3, abs=0.3)
    assert left["access"] == pytest.approx(2, abs=0.3)  # the cannula stands on the bones' face
    assert "sciatic-notch" not in left


def test_moving_across_changes_each_by_the_move(moved):
    here = {name: float(slack[0]) for name, slack in moved.left(moved.here).items()}
    there = moved.left(moved.aside(2.0, 4))
    assert there["in-joint"].min() == pytest.approx(here["in-joint"] - 2, abs=0.3)
    assert there["inferior-third"].min() == pytest.approx(here["inferior-third"] - 2, abs=0.05)
    assert there["neural-clearance"].min() == pytest.approx(here["neural-clearance"] - 2, abs=0.3)


def test_a_pose_far_off_has_a_bound_and_one_near_the_distance(moved):
    near = moved.poses(moved.dowel.centre[None] - [[6.0, 0, 0]], moved.dowel.direction[None])
    exact, bound = (float(moved.breach_margin(near, np.array([reach]))[0]) for reach in (99.0, -99.0))
    assert exact == pytest.approx(-PELVIS.foramen_out_mm - 6 - RADIUS - 2, abs=0.6)
    assert bound <= exact


def scan_of(moved, first_x):
    """HU that rise by one each mm to the left, from a plane of x on."""
    labels = moved.dowel.case.labels
    x = labels.origin_lps[0] + np.arange(labels.values.shape[2])
    hu = np.broadcast_to(x.round().astype(np.int16), labels.values.shape).copy()
    grid = Grid(hu.shape, PELVIS.grid.lps_from_zyx)
    return Volume(hu, grid).crop((slice(0, hu.shape[0]), slice(0, hu.shape[1]), slice(first_x, hu.shape[2])))


def test_hu_are_those_of_the_scan_and_nothing_beyond_it(moved):
    source = ArraySource(scan_of(moved, 0))
    assert check_scan_grid(moved.dowel.case, source).passed
    path = PathOnScan(moved.dowel, source)
    places = moved.dowel.centre + np.array([[0, 0, 0], [3.25, 1, 2], [500.0, 0, 0]])
    assert path.hu(places) == pytest.approx([places[0, 0], places[1, 0], 0.0], abs=1e-3)
    assert isinstance(path.image, SimpleITK.Image)


def test_a_scan_that_lies_elsewhere_is_told(moved):
    check = check_scan_grid(moved.dowel.case, ArraySource(scan_of(moved, 1)))
    assert not check.passed
    assert "HU were not checked" in check.message
