"""DICOM segmentations and Slicer's come back from any grid at all."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from planner.dicom import SourceStudy
from planner.dicom.study import Reference
from planner.exports.dicom.objects import Target
from planner.exports.dicom.segmentation import write_segmentation
from planner.exports.nrrd import write_seg_nrrd
from planner.exports.terminology import BONE_STRUCTURES
from planner.grid import Grid
from planner.images import read_labels
from planner.seg_labels import read_seg
from planner.volume import LabelMap, PlacedLabels

from support.made_plan import made_document

CT = "1.2.840.10008.5.1.4.1.1.2"


@st.composite
def cases(draw):
    """Labels in a box of a turned grid; the slice axis is row x column, as in any series."""
    shape = tuple(draw(st.integers(2, 9)) for _ in range(3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    axes[:, 0] *= np.sign(np.dot(np.cross(axes[:, 2], axes[:, 1]), axes[:, 0]))
    matrix = np.eye(4)
    matrix[:3, :3] = axes * rng.uniform(0.3, 5.0, 3)
    matrix[:3, 3] = rng.uniform(-900, 900, 3)
    starts = [draw(st.integers(0, n - 1)) for n in shape]
    box = tuple(slice(a, draw(st.integers(a + 1, n))) for a, n in zip(starts, shape, strict=True))
    values = rng.integers(0, 7, [s.stop - s.start for s in box]).astype(np.uint8)
    values.flat[0] = 1
    return PlacedLabels(Grid(shape, matrix), box, values)


def target_of(slices):
    header = Dataset()
    header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = "1.2.3", "1.2.4", "1.2.5"
    references = tuple(Reference(CT, f"1.2.6.{'7' * (k % 5 + 1)}", None) for k in range(slices))
    return Target(SourceStudy(header, references, True), made_document())


@pytest.mark.parametrize("kind", ["binary", "labelmap"])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(labels=cases())
def test_dicom_segmentations_come_back(kind, labels):
    with tempfile.TemporaryDirectory() as folder:
        path = write_segmentation(Path(folder) / "seg.dcm", target_of(labels.grid.shape_zyx[0]), labels, kind)
        found, findings = read_seg(path, labels.grid)
    assert np.array_equal(found.values, labels.whole().values)
    assert findings == ()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(labels=cases())
def test_slicers_segmentations_come_back(labels):
    whole: LabelMap = labels.whole()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.seg.nrrd"
        write_seg_nrrd(path, whole, BONE_STRUCTURES)
        found = read_labels(path)
    assert np.array_equal(found.values, whole.values)
    assert found.grid.same_as(labels.grid, 1e-6)
