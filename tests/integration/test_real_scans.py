"""Real scans: what is not a pelvis is refused, what is cut off says so, no side is swapped."""

from __future__ import annotations

import numpy as np
import pytest

from planner.case import CaseSettings, plan_case
from planner.errors import NoPelvisError
from planner.images import read_labels
from planner.labels import Label, Side

pytestmark = pytest.mark.shared


@pytest.mark.parametrize("name", ["thorax_crop", "abdomen_crop"])
def test_no_pelvis_is_refused(shared, name):
    with pytest.raises(NoPelvisError, match="no pelvis found"):
        plan_case(shared / "no_pelvis" / f"{name}.nii.gz", CaseSettings())


def test_a_scan_that_ends_inside_the_joint_is_not_planned(shared):
    case = plan_case(shared / "pancreas_ct_cb_001" / "dicom", CaseSettings())
    assert {plan.status for plan in case.plans.values()} == {"not-planned"}
    assert all(joint.truncated for joint in case.anatomy.joints.values())
    assert {"joint-truncated", "slice-spacing"} <= {finding.code for finding in case.document.findings}


def test_thick_slices_with_metal_keep_sides_and_bones_apart(shared):
    folder = shared / "totalseg_example"
    case = plan_case(folder / "ct.nii.gz", CaseSettings(sides=()))
    truth = case.place.from_input(read_labels(folder / "labels_1sac_2hipL_3hipR_4L5.nii.gz")).values
    ours = case.anatomy.bones.labels.values
    for label in (Label.SACRUM, Label.LEFT_HIP, Label.RIGHT_HIP):
        shared_voxels = np.count_nonzero((ours == label) & (truth == label))
        assert 2 * shared_voxels / (np.count_nonzero(ours == label) + np.count_nonzero(truth == label)) > 0.88
    assert "metal" in {finding.code for finding in case.document.findings}


def test_a_joint_that_is_in_the_scan_is_planned(shared):
    case = plan_case(shared / "cc0_lumbosacral" / "ct.nii.gz", CaseSettings())
    for side in Side:
        best = case.plans[side].candidates[0]
        assert best.third == "middle"
        assert best.clearances["neural"].proven_mm >= 3.0
        lateral = (best.implant_tip_lps - best.implant_entry_lps) @ case.anatomy.bones.frame.left_lps * side.lateral_x
        assert lateral > 0
