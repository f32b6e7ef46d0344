"""A .seg.nrrd comes back with the same labels in the same place, and says what each is."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
import slicerio

from planner import NOTICE
from planner.exports.nrrd import write_seg_nrrd
from planner.exports.terminology import BONE_STRUCTURES, KEEPOUT_STRUCTURES
from planner.foreign_classes import bone_of_code
from planner.images import read_labels
from planner.labels import Label
from planner.volume import LabelMap

from support.made_plan import GRIDS, bones, keepouts, upright


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_labels_and_place_come_back(grid, tmp_path):
    path = tmp_path / "labels.seg.nrrd"
    write_seg_nrrd(path, bones(grid), BONE_STRUCTURES)
    found = read_labels(path)
    assert np.array_equal(found.values, bones(grid).values)
    assert found.grid.same_as(grid, 1e-9)


def test_slicers_own_library_reads_it(tmp_path):
    path = tmp_path / "labels.seg.nrrd"
    labels = bones(upright())
    write_seg_nrrd(path, labels, BONE_STRUCTURES)
    found = slicerio.read_segmentation(path)
    assert np.array_equal(found["voxels"].transpose(), labels.values)  # it counts x first
    centre_lps = found["ijkToLPS"] @ [7, 5, 3, 1]
    assert centre_lps[:3] == pytest.approx(labels.grid.to_lps((3, 5, 7)))
    told = {segment["labelValue"]: segment for segment in found["segments"]}
    assert set(told) == {int(label) for label in Label if label}
    for value, segment in told.items():
        terms = segment["terminology"]
        side = terms.get("typeModifier", ["", "", ""])[2].lower()
        assert terms["category"] == ["SCT", "123037004", "Anatomical Structure"]
        assert bone_of_code(terms["type"][1], side or None) == value
        assert segment["status"] == "completed"


def test_extents_hold_each_segment(tmp_path):
    path = tmp_path / "labels.seg.nrrd"
    write_seg_nrrd(path, bones(upright()), BONE_STRUCTURES)
    image = SimpleITK.ReadImage(str(path))
    number = next(n for n in range(6) if image.GetMetaData(f"Segment{n}_ID") == "hip_left")
    assert image.GetMetaData(f"Segment{number}_Extent") == "11 13 2 7 1 5"
    assert image.GetMetaData(f"Segment{number}_Color") == "0.337255 0.705882 0.913725"


def test_only_what_is_there_is_a_segment(tmp_path):
    path = tmp_path / "keepout.seg.nrrd"
    write_seg_nrrd(path, keepouts(upright()), KEEPOUT_STRUCTURES)
    found = slicerio.read_segmentation(path)
    assert [s["name"] for s in found["segments"]] == ["sacral canal", "foramen s1 left", "foramen s2 right"]


def test_nothing_at_all_is_a_file_too(tmp_path):
    grid = upright()
    write_seg_nrrd(tmp_path / "a.seg.nrrd", LabelMap(np.zeros(grid.shape_zyx, np.uint8), grid), BONE_STRUCTURES)
    assert not read_labels(tmp_path / "a.seg.nrrd").values.any()


def test_same_labels_same_bytes_and_the_notice(tmp_path):
    for name in ("a", "b"):
        write_seg_nrrd(tmp_path / f"{name}.seg.nrrd", bones(upright()), BONE_STRUCTURES)
    written = (tmp_path / "a.seg.nrrd").read_bytes()
    assert written == (tmp_path / "b.seg.nrrd").read_bytes()
    assert NOTICE.encode() in written[:200]


def test_every_value_has_one_structure():
    values = [structure.value for structure in (*BONE_STRUCTURES, *KEEPOUT_STRUCTURES)]
    assert {int(label) for label in Label if label} <= set(values)
    assert len({s.name for s in (*BONE_STRUCTURES, *KEEPOUT_STRUCTURES)}) == len(values)
    assert all(len(s.kind.value) <= 16 and len(s.kind.meaning) <= 64 for s in (*BONE_STRUCTURES, *KEEPOUT_STRUCTURES))
