"""A result folder is read back as it was written, or refused in one sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_sacroplan.recheck import make_checker
from napari_sacroplan.reopen import _implant, find_ct, reopen
from planner.errors import LabelsError, UnreadableFileError
from planner.grid import Grid
from planner.images import write_volume
from planner.implants import Implant
from planner.labels import Label, Side
from planner.plan import SectionDocument
from planner.trajectory.section import section_of
from planner.volume import Volume


def test_scan_beside_the_folder_is_found_and_lies_where_the_labels_lie(case, phantom):
    assert case.has_ct
    assert case.volume.grid.same_as(case.bones.labels.grid)
    point = case.volume.grid.to_lps((20, 60, 60))
    index = tuple(np.rint(phantom.volume.grid.to_index(point)).astype(int))
    assert case.volume.hu[20, 60, 60] == phantom.volume.hu[index]


def test_labels_and_joints_are_those_of_the_plan(case):
    assert {1, 2, 3} <= set(np.unique(case.bones.labels.values).tolist())
    for side in Side:
        document = case.plan.sides[side.value].joint
        assert case.joints[side].thirds.bounds_mm.tolist() == list(document.thirds.bounds_mm)
        assert case.joints[side].vertices_lps[:, 0].mean() * side.lateral_x > 0
    hip = case.bones.labels.values == Label.LEFT_HIP
    assert case.bones.labels.grid.to_lps(np.argwhere(hip)).mean(axis=0)[0] > 0
    assert not case.keepouts.missing(Side.LEFT)


def test_without_the_scan_a_review_opens_on_the_labels_alone(own_folder):
    (own_folder.parent / "ct.nii.gz").unlink()
    case = reopen(own_folder)
    assert not case.has_ct
    assert find_ct(own_folder) is None
    assert set(np.unique(case.volume.hu).tolist()) == {40, 300}


def test_another_scan_is_refused_where_it_is_given_and_ignored_where_it_lies_about(own_folder, tmp_path):
    hu = np.full((20, 30, 30), -1000, np.int16)
    hu[5:15, 8:22, 8:22] = 40
    hu[8:12, 12:18, 12:18] = 700
    write_volume(tmp_path / "other.nii.gz", Volume(hu, Grid.from_spacing(hu.shape, (2.0, 2.0, 2.0))))
    with pytest.raises(LabelsError, match=r"does not lie where the plan's labels .* lie.*--ct"):
        reopen(own_folder, tmp_path / "other.nii.gz")
    (own_folder.parent / "ct.nii.gz").unlink()
    (tmp_path / "other.nii.gz").rename(own_folder.parent / "ct.nii.gz")
    assert not reopen(own_folder).has_ct


@pytest.mark.parametrize("name", ["plan.json", "manifest.json", "labels.nii.gz"])
def test_a_file_that_is_not_there_is_named(own_folder, name):
    (own_folder / name).unlink()
    with pytest.raises(UnreadableFileError, match=name.replace(".", r"\.")):
        reopen(own_folder)


def test_a_plan_of_another_schema_is_refused(own_folder):
    plan = json.loads((own_folder / "plan.json").read_text())
    plan["sides"]["left"]["surprise"] = 1
    (own_folder / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(UnreadableFileError, match="not as this version writes it"):
        reopen(own_folder)


def test_settings_of_another_version_hold_where_they_matter(own_folder):
    path = own_folder / "manifest.json"
    manifest = json.loads(path.read_text())
    config = manifest["settings"]["config"]
    config["trajectory"]["search"]["no_longer_there"] = 3
    config["trajectory"]["constraints"]["cortex_mm"] = 4.5
    path.write_text(json.dumps(manifest))
    assert reopen(own_folder).config.trajectory.constraints.cortex_mm == 4.5
    config["trajectory"]["constraints"]["no_longer_there"] = 3
    path.write_text(json.dumps(manifest))
    with pytest.raises(UnreadableFileError, match="does not hold the settings"):
        reopen(own_folder)


@pytest.mark.parametrize("across_joint", [False, True])
@pytest.mark.parametrize(
    "shape", [{"shape": "box", "height_share": 0.4}, {"shape": "twin barrel"}, {"shape": "triangular rod"}]
)
def test_a_device_of_ones_own_that_is_not_round_is_known_by_what_is_proposed(case, shape, across_joint):
    device = {"id": "MINE", "maker": "", "approach": "posterior", "count": 1, "source": "test", "diameters_mm": (8.0,)}
    mine = Implant.model_validate({**device, "lengths_mm": (20.0,), "across_joint": across_joint, **shape})
    corners = section_of(mine).scaled(8.0)
    section = SectionDocument(corners_mm=corners.round(3).tolist(), across_lps=((1, 0, 0), (0, 0, 1)))
    proposed = case.plan.sides["left"].candidates[0].model_copy(update={"section": section})
    side = case.plan.sides["left"].model_copy(update={"candidates": [proposed]})
    plan = case.plan.model_copy(update={"sides": {"left": side}})
    assert np.allclose(section_of(_implant("MINE", plan)).scaled(8.0), corners, atol=0.002)


def test_the_implant_of_a_plan_is_the_section_that_was_planned(boxed):
    case = reopen(boxed)
    assert (case.implant.id, case.implant.shape, case.implant.height_share) == ("MY-BOX", "box", 0.5)
    assert make_checker(case, Side.LEFT).task.section.extent == pytest.approx([1, 0.5])
