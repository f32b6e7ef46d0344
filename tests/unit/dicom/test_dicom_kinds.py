"""Headers that tell of cone-beam CT or of mirrored axial images."""

from __future__ import annotations

import pytest

from planner.dicom import read_dicom

from support.dicom_files import body, ct_datasets, save
from support.malformed import GRID, SHAPE_ZYX


def codes(folder, **elements):
    datasets = ct_datasets(body(SHAPE_ZYX), GRID)
    for ds in datasets:
        for keyword, value in elements.items():
            setattr(ds, keyword, value)
    return {finding.code for finding in read_dicom(save(folder, datasets)).findings}


def test_an_ordinary_series_is_said_nothing_of(tmp_path):
    assert codes(tmp_path / "series") == set()


@pytest.mark.parametrize(
    "elements",
    [{"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "CBCT"]}, {"SeriesDescription": "DynaCT pelvis"}],
    ids=["image type", "description"],
)
def test_cone_beam_is_told(tmp_path, elements):
    assert codes(tmp_path / "series", **elements) == {"cone-beam"}


@pytest.mark.parametrize("orientation", [["-1", "0", "0", "0", "1", "0"], ["1", "0", "0", "0", "-1", "0"]])
def test_axial_images_seen_from_the_head_are_told(tmp_path, orientation):
    assert codes(tmp_path / "series", ImageOrientationPatient=orientation) == {"seen-from-head"}


@pytest.mark.parametrize(
    "elements",
    [
        {"ImageOrientationPatient": ["-1", "0", "0", "0", "-1", "0"], "PatientPosition": "HFP"},
        {
            "ImageOrientationPatient": ["-1", "0", "0", "0", "1", "0"],
            "ImageType": ["DERIVED", "SECONDARY", "REFORMATTED"],
        },
    ],
    ids=["prone", "reformatted"],
)
def test_other_ways_to_store_are_not(tmp_path, elements):
    assert codes(tmp_path / "series", **elements) == set()
