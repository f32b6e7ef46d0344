"""A DICOM SEG comes out on the scan's grid to the bit, however it is stored, or is refused by name."""

from __future__ import annotations

import subprocess
import sys

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.sr.codedict import codes

from planner.errors import LabelsError, UnreadableFileError
from planner.findings import Level
from planner.given_labels import read_given_labels
from planner.grid import Grid
from planner.labels import Label
from planner.seg_labels import is_dicom, read_seg
from planner.volume import LabelMap, Volume
from sample_data import PhantomSpec, make_phantom, write_dicom_series

from support.seg_files import Segment, coded_segments, write_seg

TURNS = {
    "as it is": lambda volume: volume,
    "from the top": lambda volume: volume.flip_spatial(0),
    "mirrored storage": lambda volume: volume.flip_spatial([1, 2]),
    "sagittal": lambda volume: volume.permute_spatial_axes((2, 0, 1)),
    "coronal, flipped": lambda volume: volume.permute_spatial_axes((1, 2, 0)).flip_spatial([0, 2]),
}
KINDS = ["BINARY", "FRACTIONAL", "LABELMAP"]
SMALL = Grid.from_spacing((6, 8, 10), (3.0, 1.0, 1.5), (-4.0, 2.0, 10.0))


@pytest.fixture(scope="module")
def bones():
    """The phantom's bones at 6 mm."""
    return make_phantom(PhantomSpec(spacing_zyx_mm=(6.0, 6.0, 6.0))).labels


def blocks(grid=SMALL):
    """Sacrum and hips as blocks, nowhere symmetric."""
    values = np.zeros(grid.shape_zyx, np.uint8)
    values[1:5, 2:6, 4:6] = Label.SACRUM
    values[1:4, 1:5, 7:9] = Label.LEFT_HIP
    values[2:5, 1:4, 0:3] = Label.RIGHT_HIP
    return LabelMap(values, grid)


def turned(grid, degrees):
    """The grid, turned about z and shifted."""
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn[:3, 3] = 12.5, -3.25, 40.0
    return Grid(grid.shape_zyx, turn @ grid.lps_from_zyx)


def codes_of(findings):
    return [finding.code for finding in findings]


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
@pytest.mark.parametrize("kind", KINDS)
def test_labels_come_back_to_the_bit(bones, kind, turn, tmp_path):
    labels, findings = read_seg(write_seg(tmp_path / "seg.dcm", bones, kind=kind, turn=turn), bones.grid)
    assert np.array_equal(labels.values, bones.values)
    assert findings == ()


def test_a_turned_seg_is_stored_otherwise(tmp_path):
    orientations, sizes = set(), set()
    for n, turn in enumerate(TURNS.values()):
        seg = dcmread(write_seg(tmp_path / f"{n}.dcm", blocks(), turn=turn))
        plane = seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
        orientations.add(tuple(plane.ImageOrientationPatient))
        sizes.add((seg.Rows, seg.Columns, seg.NumberOfFrames))
    assert len(orientations) == 4  # from the top differs in the order of its frames alone
    assert len(sizes) == 3


@pytest.mark.parametrize("degrees", [0.0, 17.0, 90.0, 180.0])
def test_an_oblique_scan_is_no_other(degrees, tmp_path):
    given = blocks(turned(SMALL, degrees))
    labels, _ = read_seg(write_seg(tmp_path / "seg.dcm", given), given.grid)
    assert np.array_equal(labels.values, given.values)


def test_frames_may_come_in_any_order(tmp_path):
    path = write_seg(tmp_path / "seg.dcm", blocks(), kind="FRACTIONAL")
    data = dcmread(path)
    order = np.random.default_rng(0).permutation(int(data.NumberOfFrames))
    data.PixelData = np.ascontiguousarray(data.pixel_array[order]).tobytes()
    data.PerFrameFunctionalGroupsSequence = [data.PerFrameFunctionalGroupsSequence[k] for k in order]
    data.save_as(path)
    labels, _ = read_seg(path, SMALL)
    assert np.array_equal(labels.values, blocks().values)


def test_empty_frames_are_left_out_and_not_missed(tmp_path):
    path = write_seg(tmp_path / "seg.dcm", blocks())
    assert dcmread(path).NumberOfFrames == 4 + 3 + 3
    assert np.array_equal(read_seg(path, SMALL)[0].values, blocks().values)


def test_what_lies_beyond_the_scan_is_left_out(tmp_path):
    path = write_seg(tmp_path / "seg.dcm", blocks(), turn=TURNS["coronal, flipped"])
    box = (slice(2, 6), slice(1, 4), slice(3, 10))
    labels, _ = read_seg(path, SMALL.crop(box))
    assert np.array_equal(labels.values, blocks().values[box])


def test_a_seg_of_a_part_of_the_scan_is_placed_in_it(tmp_path):
    box = (slice(1, 5), slice(1, 7), slice(0, 9))
    labels, _ = read_seg(write_seg(tmp_path / "seg.dcm", blocks().crop(box)), SMALL)
    assert np.array_equal(labels.values, blocks().values)


def test_a_seg_that_misses_the_scan_in_its_planes_gives_nothing(tmp_path):
    path = write_seg(tmp_path / "seg.dcm", blocks())
    aside = Grid.from_spacing(SMALL.shape_zyx, SMALL.spacing_zyx_mm, SMALL.to_lps((0, 0, 40)))
    assert not read_seg(path, aside)[0].values.any()


@pytest.mark.parametrize(
    "names",
    [
        ("sacrum", "hip_left", "hip_right"),
        ("Sacrum", "Left hip bone", "HIP, right"),
        ("vertebrae_S1", "left_hip", "right_hip"),
        ("coccyx", "Left Hip", "Right Hip"),
    ],
)
def test_segments_are_known_by_their_labels(names, tmp_path):
    segments = [Segment(label, name) for label, name in enumerate(names, start=1)]
    labels, findings = read_seg(write_seg(tmp_path / "seg.dcm", blocks(), segments), SMALL)
    assert np.array_equal(labels.values, blocks().values)
    assert findings == ()


def test_the_side_may_be_coded_with_the_region_or_in_old_codes(tmp_path):
    path = write_seg(tmp_path / "seg.dcm", blocks())
    data = dcmread(path)
    sacrum, left, right = data.SegmentSequence
    for segment, side in ((left, codes.SCT.Left), (right, codes.SCT.Right)):
        del segment.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence
        region = highdicom.sr.CodedConcept.from_code(codes.SCT.Hip)
        region.AnatomicRegionModifierSequence = [highdicom.sr.CodedConcept.from_code(side)]
        segment.AnatomicRegionSequence = [region]
    old = highdicom.sr.CodedConcept("T-11AD0", "SRT", "Sacrum")
    sacrum.SegmentedPropertyTypeCodeSequence = [old]
    data.save_as(path)
    assert np.array_equal(read_seg(path, SMALL)[0].values, blocks().values)


def test_other_segments_are_left_out_and_told_by_number_alone(tmp_path):
    segments = [*coded_segments(blocks()), Segment(1, "DOE^JANE liver"), Segment(2, "hip", codes.SCT.Hip)]
    path = write_seg(tmp_path / "seg.dcm", blocks(), segments)
    labels, (finding,) = read_seg(path, SMALL)
    assert np.array_equal(labels.values, blocks().values)
    assert (finding.code, finding.level) == ("labels-ignored", Level.NOTE)
    assert "2 segments" in finding.message
    assert "numbers 4, 5" in finding.message
    assert "DOE" not in finding.message


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_no_bones_is_one_clear_error(kind, tmp_path):
    path = write_seg(tmp_path / "seg.dcm", blocks(), [Segment(1, "liver"), Segment(2, "spleen")], kind)
    with pytest.raises(LabelsError, match=r"^seg\.dcm: found 2 segments, none of them a sacrum or hip bone") as told:
        read_seg(path, SMALL)
    assert "54735007" in told.value.remedy


def test_left_coded_and_right_labelled_is_refused(tmp_path):
    sacrum, left, right = coded_segments(blocks())
    wrong = Segment(left.label, "hip_right", left.kind, left.side)
    path = write_seg(tmp_path / "seg.dcm", blocks(), [sacrum, wrong, right])
    with pytest.raises(LabelsError, match="segment 2 coded left and labelled right"):
        read_seg(path, SMALL)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_voxels_of_two_bones_go_to_the_sacrum_whatever_the_order(order, tmp_path):
    segments = [coded_segments(blocks())[k] for k in order]
    masks = np.stack([blocks().values == segment.label for segment in segments], axis=-1)
    masks[2, 3, 4] = [segment.label in (Label.SACRUM, Label.LEFT_HIP) for segment in segments]
    path = write_seg(tmp_path / "seg.dcm", blocks(), segments, masks=masks)
    labels, (finding,) = read_seg(path, SMALL)
    assert np.array_equal(labels.values, blocks().values)
    assert finding.code == "labels-overlap"
    assert finding.message.startswith("1 voxels")


def test_half_a_voxel_is_bone(tmp_path):
    masks = np.stack([blocks().values == label for label in (1, 2, 3)], axis=-1).astype(np.float32)
    masks[2, 3, 4], masks[2, 3, 5] = [0.52, 0, 0], [0.48, 0, 0]
    labels, _ = read_seg(write_seg(tmp_path / "seg.dcm", blocks(), kind="FRACTIONAL", masks=masks), SMALL)
    assert labels.values[2, 3, 4:6].tolist() == [Label.SACRUM, Label.BACKGROUND]


@pytest.mark.parametrize(
    "scan",
    [
        Grid.from_spacing((6, 8, 10), (3.0, 1.0, 1.5), (-4.4, 2.0, 10.0)),
        Grid.from_spacing((6, 8, 10), (3.0, 1.0, 1.4), (-4.0, 2.0, 10.0)),
        Grid.from_spacing((6, 16, 20), (3.0, 0.5, 0.75), (-4.0, 2.0, 10.0)),
        turned(SMALL, 5.0),
    ],
    ids=["half a voxel aside", "other spacing", "twice as fine", "turned"],
)
def test_frames_off_the_grid_are_refused(scan, tmp_path):
    with pytest.raises(LabelsError, match=r"seg\.dcm: found frame 1 of 8 x 10 pixels off the scan's grid") as told:
        read_seg(write_seg(tmp_path / "seg.dcm", blocks()), scan)
    assert "Resample" in told.value.remedy


def test_frames_on_every_second_slice_are_refused(tmp_path):
    finer = Grid.from_spacing((12, 8, 10), (1.5, 1.0, 1.5), SMALL.origin_lps_mm)
    with pytest.raises(LabelsError, match="every 2th slice"):
        read_seg(write_seg(tmp_path / "seg.dcm", blocks()), finer)


def test_rounded_positions_are_on_the_grid(tmp_path):
    off = Grid.from_spacing(SMALL.shape_zyx, SMALL.spacing_zyx_mm, SMALL.origin_lps_mm + 0.02)
    assert np.array_equal(read_seg(write_seg(tmp_path / "seg.dcm", blocks()), off)[0].values, blocks().values)


def test_another_dicom_file_is_refused_by_its_modality(tmp_path):
    (first, *_) = write_dicom_series(Volume(np.zeros((2, 3, 4), np.int16), Grid.from_spacing((2, 3, 4), 1.0)), tmp_path)
    with pytest.raises(LabelsError, match="modality CT, expected SEG"):
        read_seg(first, SMALL)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_torn_file_is_refused(share, tmp_path):
    path = write_seg(tmp_path / "seg.dcm", blocks(), kind="FRACTIONAL")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises((UnreadableFileError, LabelsError), match=r"seg\.dcm"):
        read_seg(path, SMALL)


def test_a_file_without_places_is_refused(tmp_path):
    path = write_seg(tmp_path / "seg.dcm", blocks())
    data = dcmread(path)
    for group in data.PerFrameFunctionalGroupsSequence:
        del group.PlanePositionSequence
    data.save_as(path)
    with pytest.raises(UnreadableFileError, match=r"seg\.dcm"):
        read_seg(path, SMALL)


def test_dicom_is_known_by_its_letters(tmp_path):
    (tmp_path / "text.dcm").write_text("no DICM here")
    assert not is_dicom(tmp_path / "text.dcm")
    assert not is_dicom(tmp_path / "absent.dcm")
    assert is_dicom(write_seg(tmp_path / "seg.bin", blocks()))


def test_a_seg_alone_in_a_folder_is_given_labels(tmp_path):
    (tmp_path / "export").mkdir()
    write_seg(tmp_path / "seg.dcm", blocks()).rename(tmp_path / "export" / "1")
    given = read_given_labels(tmp_path / "export", SMALL)
    assert given.source == "dicom-seg"
    assert np.array_equal(given.labels.values, blocks().values)


def test_a_seg_without_hips_is_no_joint(tmp_path):
    path = write_seg(tmp_path / "seg.dcm", blocks(), coded_segments(blocks())[:1])
    with pytest.raises(LabelsError, match="found sacrum, expected the sacrum and a hip bone"):
        read_given_labels(path, SMALL)


def test_highdicom_waits_until_a_seg_is_read():
    code = "import sys, planner.given_labels, planner.case; print('highdicom' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
