"""One segmentation, given in every way that is understood, gives one case; its joint faces come from the image."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from pipelines.results import write_case
from planner.backends import Backend
from planner.backends.totalsegmentator import TotalSegmentator
from planner.case import CaseSettings, plan_case
from planner.errors import ConfigError, LabelsError
from planner.grid import Grid
from planner.images import write_labels, write_volume
from planner.labels import Label, Side
from planner.volume import LabelMap
from sample_data import PhantomSpec, make_phantom

from support.seg_files import write_seg

FAKE = Path(__file__).parents[1] / "support" / "fake_totalsegmentator"
MEASURE = {"sides": ()}
THEIRS = {Label.SACRUM: 25, Label.LUMBAR: 27, Label.LEFT_FEMUR: 75, Label.RIGHT_FEMUR: 76, Label.LEFT_HIP: 77,
          Label.RIGHT_HIP: 78}  # fmt: skip


@pytest.fixture(scope="module")
def scan():
    """The phantom at 3 mm: enough to tell ways of giving labels apart."""
    return make_phantom(PhantomSpec(spacing_zyx_mm=(3.0, 3.0, 3.0)))


@pytest.fixture(scope="module")
def ct(scan, tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "ct.nii.gz"
    write_volume(path, scan.volume)
    return path


@pytest.fixture(scope="module")
def by_own_values(scan, ct):
    path = ct.parent / "own.nii.gz"
    write_labels(path, scan.labels)
    return plan_case(ct, CaseSettings(labels=path, **MEASURE))


def in_their_values(labels):
    table = np.zeros(256, np.uint8)
    table[list(THEIRS)] = list(THEIRS.values())
    return LabelMap(table[labels.values], labels.grid)


def assert_same_anatomy(case, other):
    assert np.array_equal(case.anatomy.bones.labels.values, other.anatomy.bones.labels.values)
    assert set(case.anatomy.joints) == set(other.anatomy.joints) == set(Side)
    for side, joint in case.anatomy.joints.items():
        assert np.array_equal(joint.vertices_lps, other.anatomy.joints[side].vertices_lps)


def test_a_seg_gives_the_case_of_the_same_labels(scan, ct, by_own_values, tmp_path):
    seg = write_seg(tmp_path / "seg.dcm", scan.labels, kind="LABELMAP")
    case = plan_case(ct, CaseSettings(labels=seg, **MEASURE))
    assert_same_anatomy(case, by_own_values)
    made_by = case.document.segmentation
    assert (made_by.backend, made_by.version, made_by.given_as) == ("given-labels", None, "dicom-seg")


def test_totalsegmentator_sees_the_pelvis_alone_and_goes_the_same_way(scan, ct, by_own_values, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(FAKE))
    monkeypatch.setattr("planner.backends.totalsegmentator.version", lambda name: "2.9.9")
    api = importlib.import_module("totalsegmentator.python_api")
    write_labels(tmp_path / "truth.nii.gz", in_their_values(scan.labels))
    truth = SimpleITK.ReadImage(str(tmp_path / "truth.nii.gz"))
    api.answer = lambda box: SimpleITK.GetArrayFromImage(SimpleITK.Resample(truth, box, SimpleITK.Transform(), 1))
    try:
        case = plan_case(ct, CaseSettings(backend=Backend.TOTALSEGMENTATOR, **MEASURE))
        (call,) = api.calls
    finally:
        for name in ("totalsegmentator.python_api", "totalsegmentator"):
            sys.modules.pop(name, None)
    assert call["shape_zyx"] == case.anatomy.volume.hu.shape
    assert_same_anatomy(case, by_own_values)
    write_case(case, tmp_path / "out", figures=False)
    plan, manifest = (json.loads((tmp_path / "out" / f"{name}.json").read_text()) for name in ("plan", "manifest"))
    expected = {"backend": "totalsegmentator", "version": "2.9.9", "given_as": None}
    assert plan["segmentation"] == manifest["segmentation"] == expected
    assert manifest["settings"]["backend"] == "totalsegmentator"


def test_without_the_package_nothing_is_read(tmp_path):
    if TotalSegmentator.is_installed():
        pytest.skip("TotalSegmentator is installed here")
    with pytest.raises(ConfigError, match="not installed") as told:
        plan_case(tmp_path / "absent.nii.gz", CaseSettings(backend=Backend.TOTALSEGMENTATOR))
    assert told.value.exit_code == 2


def test_labels_and_a_backend_are_one_too_many(tmp_path):
    settings = CaseSettings(backend=Backend.TOTALSEGMENTATOR, labels=tmp_path / "labels.nii.gz")
    with pytest.raises(ConfigError, match="both given"):
        plan_case(tmp_path / "absent.nii.gz", settings)


def test_labels_on_a_wider_grid_are_refused_with_what_to_do(scan, ct, tmp_path):
    shape_zyx = tuple(n + 4 for n in scan.labels.grid.shape_zyx)
    wide = Grid.from_spacing(shape_zyx, 3.0, scan.labels.grid.to_lps((-2, -2, -2)))
    values = np.pad(scan.labels.values, 2)
    write_labels(tmp_path / "wide.nii.gz", LabelMap(values, wide))
    with pytest.raises(LabelsError, match="do not lie on the scan's grid") as told:
        plan_case(ct, CaseSettings(labels=tmp_path / "wide.nii.gz", **MEASURE))
    assert "Resample them onto the scan" in told.value.remedy
