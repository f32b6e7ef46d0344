"""A scan too fine to be worked on is averaged, planned, and verified; its labels come back voxel by voxel."""

from __future__ import annotations

import json

import numpy as np

from pipelines.results import write_case
from planner import place
from planner.case import CaseSettings, plan_case
from planner.grid import Grid
from planner.images import read_labels, write_volume
from planner.labels import Label
from planner.verify import verify_folder
from planner.volume import Volume


def finer(volume: Volume) -> Volume:
    """Each voxel as two by two by two."""
    hu = volume.hu.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    matrix = volume.grid.lps_from_zyx.copy()
    matrix[:3, :3] /= 2
    matrix[:3, 3] = volume.grid.to_lps((-0.25, -0.25, -0.25))
    return Volume(hu, Grid(hu.shape, matrix))


def test_a_fine_scan_is_planned_on_means_and_verified(phantom, tmp_path, monkeypatch):
    fine = finer(phantom.volume)
    write_volume(tmp_path / "ct.nii.gz", fine)
    monkeypatch.setattr(place, "MOST_VOXELS", 5_000_000)
    monkeypatch.setattr(place, "EVEN_MM", 2.0)
    case = plan_case(tmp_path / "ct.nii.gz", CaseSettings())
    write_case(case, tmp_path / "plan", figures=False)
    assert case.anatomy.volume.grid.spacing_zyx_mm.tolist() == [2.0, 2.0, 2.0]
    assert "averaged-voxels" in {finding.code for finding in case.document.findings}
    plan = json.loads((tmp_path / "plan" / "plan.json").read_text())
    assert plan["input"]["shape_zyx"] == list(fine.hu.shape)
    assert plan["input"]["blocks_zyx"] == [2, 2, 2]
    # Blocks that straddle the phantom's voxels blur it: a foramen may be lost, and then the side says so.
    assert {entry["status"] for entry in plan["sides"].values()} <= {"planned", "unverified"}
    assert all(entry["candidates"] for entry in plan["sides"].values())
    assert [check for check in verify_folder(tmp_path / "plan").checks if not check.passed] == []
    labels = read_labels(tmp_path / "plan" / "labels.nii.gz")
    assert labels.grid.same_as(fine.grid)
    truth = phantom.labels.values.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    for label in (Label.SACRUM, Label.LEFT_HIP, Label.RIGHT_HIP):
        ours, theirs = labels.values == label, truth == label
        assert 2 * np.count_nonzero(ours & theirs) > 0.9 * (np.count_nonzero(ours) + np.count_nonzero(theirs))
