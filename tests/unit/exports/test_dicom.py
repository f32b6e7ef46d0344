"""DICOM objects join the study of their CT, lie where it lies, repeat to the byte, and pass the validators."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from collections import defaultdict
from copy import deepcopy
from dataclasses import replace

import highdicom
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.config import disable_value_validation
from pydicom.sr._concepts_dict import concepts
from pydicom.sr.coding import Code

from planner import NOTICE
from planner.dicom import DicomOrigin, SourceStudy, read_dicom, read_study
from planner.errors import UnreadableFileError
from planner.exports.dicom.objects import Target
from planner.exports.dicom.report import write_report
from planner.exports.dicom.segmentation import KEEPOUTS, write_segmentation
from planner.exports.dicom.write import what_lacks, write_dicom
from planner.exports.mesh_files import write_stl
from planner.exports.surfaces import implant_surface
from planner.exports.terminology import ANATOMY, BONE_STRUCTURES, KEEPOUT_STRUCTURES, OWN_SCHEME, SIDES
from planner.given_labels import read_given_labels
from planner.grid import Grid
from planner.volume import PlacedLabels

from support.dicom_files import SECRETS, body, ct_datasets, enhanced_dataset, save, save_one
from support.made_plan import GRIDS, bones, keepouts, made_case, made_document, right_handed, upright

STORED = {name: grid for name, grid in GRIDS.items() if right_handed(grid)}
"""What a series of slices can be: the slice axis is row x column."""


def target_of(case):
    return Target(read_study(case.origin), case.document)


def attachments(folder):
    folder.mkdir()
    picture = np.random.default_rng(1).integers(0, 255, (31, 45, 3)).astype(np.uint8)
    Image.fromarray(picture).save(folder / "left_axial.png")
    write_stl(folder / "implant_left_1.stl", implant_surface((30, 40, -600), (40, 23, -600), 8.0))
    (folder / "report.pdf").write_bytes(b"%PDF-1.4 nothing %%EOF")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return made_case(STORED["oblique"], tmp_path_factory.mktemp("ct"))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return attachments(tmp_path_factory.mktemp("files") / "attached")


@pytest.fixture(scope="module")
def objects(case, files, tmp_path_factory):
    """Every object, by its file's name, and where they are."""
    folder = tmp_path_factory.mktemp("dicom")
    target, avoided = target_of(case), case.placed_keepouts
    written = write_dicom(folder, target, case.placed, files, keepouts=avoided)
    written += [
        write_segmentation(folder / "labelmap.dcm", target, case.placed, "labelmap"),
        write_segmentation(folder / "labelmap_keepout.dcm", target, avoided, "labelmap", KEEPOUTS),
    ]
    return {path.stem: dcmread(path) for path in written}, folder


STANDARD = defaultdict(set)
"""Meanings of each SNOMED CT code that DICOM uses."""
for entry in concepts["SCT"].values():
    for value, (meaning, *_) in entry.items():
        STANDARD[value].add(meaning)

SEGMENTS = ["seg", "seg_keepout", "labelmap", "labelmap_keepout"]
NAMES = [*SEGMENTS, "sr", "figure_left_axial", "mesh_implant_left_1", "document_report"]


def run(*command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed (Debian: dicom3tools, dcmtk)")
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return done.stdout + done.stderr, done.returncode


def test_all_are_written(objects):
    assert sorted(objects[0]) == sorted(NAMES)


@pytest.mark.parametrize(
    "name", [name for name in NAMES if "labelmap" not in name]
)  # dciodvfy is older than label maps
def test_dciodvfy_finds_no_error(objects, name):
    told, _ = run("dciodvfy", str(objects[1] / f"{name}.dcm"))
    wrong = [line for line in told.splitlines() if line.startswith(("Error", "Warning"))]
    assert [line for line in wrong if "99SACROPLAN" not in line] == []  # our own coding scheme is not in its tables


@pytest.mark.parametrize("name", NAMES)
def test_dcmtk_reads_every_object(objects, name):
    told, code = run("dcmdump", "-q", "+L", str(objects[1] / f"{name}.dcm"))
    assert code == 0
    assert "E: " not in told


def test_dcmtk_reads_the_report_as_one(objects):
    told, code = run("dsrdump", str(objects[1] / "sr.dcm"))
    assert code == 0
    assert "W: " not in told
    assert "Comprehensive 3D SR Document" in told
    assert told.count("implant, candidate") == 4


@pytest.mark.parametrize("name", NAMES)
def test_patient_and_study_are_those_of_the_ct(objects, case, name):
    ct, one = dcmread(next(case.origin.path.iterdir())), objects[0][name]
    for keyword in ("PatientName", "PatientID", "PatientSex", "StudyInstanceUID", "StudyDate", "AccessionNumber"):
        assert one[keyword].value == ct[keyword].value
    assert one.SeriesInstanceUID != ct.SeriesInstanceUID
    if name in (*SEGMENTS, "mesh_implant_left_1"):
        assert one.FrameOfReferenceUID == ct.FrameOfReferenceUID


def test_series_and_objects_have_identifiers_of_their_own(objects):
    ones = objects[0].values()
    assert len({one.SOPInstanceUID for one in ones}) == len({one.SeriesInstanceUID for one in ones}) == len(NAMES)
    assert all(one.SOPInstanceUID.is_valid for one in ones)
    assert all(one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID for one in ones)


@pytest.mark.parametrize("name", NAMES)
def test_no_date_is_the_clocks(objects, name):
    one = objects[0][name]
    found = {str(element.value) for element in one.iterall() if element.VR in ("DA", "TM", "DT") and element.value}
    assert found == {one.StudyDate, one.StudyTime}


@pytest.mark.parametrize("name", NAMES)
def test_the_notice_is_in_every_object(objects, name):
    assert NOTICE.encode() in (objects[1] / f"{name}.dcm").read_bytes()


def test_same_plan_same_bytes_and_another_plan_other_identifiers(case, files, objects, tmp_path):
    written = write_dicom(tmp_path / "again", target_of(case), case.placed, files, keepouts=case.placed_keepouts)
    for path in written:
        assert path.read_bytes() == (objects[1] / path.name).read_bytes()
    other = replace(case, document=made_document(s1_trabecular_hu=120.0))
    for path in write_dicom(tmp_path / "other", target_of(other), case.placed, files, keepouts=case.placed_keepouts):
        before, now = objects[0][path.stem], dcmread(path)
        assert now.SOPInstanceUID != before.SOPInstanceUID
        assert now.SeriesInstanceUID != before.SeriesInstanceUID
        assert now.StudyInstanceUID == before.StudyInstanceUID


@pytest.mark.parametrize("kind", ["binary", "labelmap"])
@pytest.mark.parametrize("name", STORED)
def test_every_orientation_comes_back(name, kind, tmp_path):
    case = made_case(STORED[name], tmp_path / "ct")
    target = target_of(case)
    seg = write_segmentation(tmp_path / "seg.dcm", target, case.placed, kind)
    given = read_given_labels(seg, read_dicom(tmp_path / "ct").source.grid)
    assert np.array_equal(given.labels.values, bones(STORED[name]).values)
    assert given.source == "dicom-seg"
    assert given.findings == ()


@pytest.mark.parametrize("kind", ["binary", "labelmap"])
@pytest.mark.parametrize("name", STORED)
def test_keep_outs_come_back_from_every_orientation(name, kind, tmp_path):
    """By highdicom, since our own reader looks for bones: voxel by voxel, in the patient."""
    case = made_case(STORED[name], tmp_path / "ct")
    path = write_segmentation(tmp_path / "seg.dcm", target_of(case), case.placed_keepouts, kind, KEEPOUTS)
    seg, truth = highdicom.seg.segread(path), keepouts(STORED[name])
    volume = seg.get_volume(combine_segments=True, relabel=False)
    value_of = {number: seg.get_segment_description(number).SegmentLabel for number in seg.segment_numbers}
    names = {structure.name: structure.value for structure in KEEPOUT_STRUCTURES}
    drawn = np.argwhere(volume.array)
    index = truth.grid.to_index(volume.map_indices_to_reference(drawn))
    assert index == pytest.approx(np.rint(index), abs=1e-3)
    seen = truth.values[tuple(np.rint(index).astype(int).T)]
    assert [names[value_of[int(v)]] for v in volume.array[tuple(drawn.T)]] == seen.tolist()
    assert len(seen) == np.count_nonzero(truth.values)


def test_keep_outs_are_coded(objects):
    segments = {one.SegmentLabel: one for one in objects[0]["seg_keepout"].SegmentSequence}
    assert list(segments) == ["sacral_canal", "foramen_s1_left", "foramen_s2_right"]
    canal, left = segments["sacral_canal"], segments["foramen_s1_left"]
    code = canal.SegmentedPropertyTypeCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("61853006", "SCT")
    kind = left.SegmentedPropertyTypeCodeSequence[0]
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert {one.SegmentAlgorithmType for one in segments.values()} == {"AUTOMATIC"}
    assert objects[0]["seg_keepout"].ContentLabel == "KEEPOUTS"


@pytest.mark.parametrize("structure", [*BONE_STRUCTURES, *KEEPOUT_STRUCTURES], ids=lambda one: one.name)
def test_codes_are_those_of_the_standard(structure):
    """DICOM's own concepts, as pydicom ships them; what they lack is in our own scheme."""
    sides = [SIDES[structure.side]] if structure.side else []
    assert ANATOMY.value in STANDARD
    for concept in (structure.kind, *sides):
        assert concept.scheme == OWN_SCHEME or concept.meaning in STANDARD[concept.value]


def test_a_case_without_keep_outs_has_no_segmentation_of_them(case, tmp_path):
    grid, box = case.placed.grid, case.placed.box
    nothing = PlacedLabels(grid, box, np.zeros_like(case.placed.values))
    written = write_dicom(tmp_path, target_of(case), case.placed, keepouts=nothing)
    assert [path.name for path in written] == ["seg.dcm", "sr.dcm"]


@pytest.mark.parametrize("name", STORED)
def test_each_frame_lies_on_the_slice_that_it_names(name, tmp_path):
    case = made_case(STORED[name], tmp_path / "ct")
    seg = dcmread(write_segmentation(tmp_path / "seg.dcm", target_of(case), case.placed))
    places = {one.SOPInstanceUID: one for one in map(dcmread, (tmp_path / "ct").iterdir())}
    shared = seg.SharedFunctionalGroupsSequence[0]
    for frame in seg.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        at = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        assert at == pytest.approx(np.array(places[source].ImagePositionPatient, float), abs=1e-4)
        cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
        assert cosines == pytest.approx(np.array(places[source].ImageOrientationPatient, float), abs=1e-6)


def test_highdicom_reads_the_segmentation(objects, case):
    seg = highdicom.seg.segread(objects[1] / "seg.dcm")
    assert seg.number_of_segments == 6
    volume = seg.get_volume(combine_segments=True, relabel=False)
    assert volume.frame_of_reference_uid == dcmread(next(case.origin.path.iterdir())).FrameOfReferenceUID
    drawn = np.argwhere(volume.array)
    truth = bones(STORED["oblique"])
    index = truth.grid.to_index(volume.map_indices_to_reference(drawn))
    assert index == pytest.approx(np.rint(index), abs=1e-3)
    seen = truth.values[tuple(np.rint(index).astype(int).T)]
    assert np.array_equal(seen, volume.array[tuple(drawn.T)])
    assert len(seen) == np.count_nonzero(truth.values)


@pytest.mark.parametrize("shape_yx", [(5, 7), (3, 3), (1, 9), (4, 6)])
def test_bits_of_odd_frames_follow_one_another(shape_yx, tmp_path):
    rng = np.random.default_rng(3)
    grid = Grid.from_spacing((11, *shape_yx), (2.0, 1.0, 1.0))
    values = rng.integers(1, 4, grid.shape_zyx).astype(np.uint8)
    save(tmp_path / "ct", ct_datasets(np.zeros(grid.shape_zyx, np.int16), grid))
    slices = tuple(sorted((path.name, 0) for path in (tmp_path / "ct").iterdir()))
    target = Target(read_study(DicomOrigin(tmp_path / "ct", slices, True)), made_document())
    whole = (slice(0, 11), slice(0, shape_yx[0]), slice(0, shape_yx[1]))
    path = write_segmentation(tmp_path / "seg.dcm", target, PlacedLabels(grid, whole, values))
    assert np.array_equal(read_given_labels(path, grid).labels.values, values)
    assert len(dcmread(path).PixelData) % 2 == 0


def test_blocks_of_voxels_are_written_out(case, tmp_path):
    grid, box = case.placed.grid, (slice(2, 8), slice(2, 10), slice(4, 12))
    small = np.zeros((3, 4, 4), np.uint8)
    small[0, 1:, :2], small[1:, 1, 2:] = 1, 2
    labels = PlacedLabels(grid, box, small, (2, 2, 2))
    path = write_segmentation(tmp_path / "seg.dcm", target_of(case), labels)
    assert np.array_equal(read_given_labels(path, grid).labels.values, labels.whole().values)


def test_resampled_slices_are_named_by_the_series_alone(case, tmp_path):
    origin = replace(case.origin, one_to_one=False)
    path = write_segmentation(tmp_path / "seg.dcm", Target(read_study(origin), case.document), case.placed)
    seg = dcmread(path)
    assert not any(frame.DerivationImageSequence for frame in seg.PerFrameFunctionalGroupsSequence)
    assert len(seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == len(case.origin.slices)
    assert read_given_labels(path, case.placed.grid).findings == ()


def test_text_burned_into_any_slice_is_told_by_all_that_shows_it(files, tmp_path):
    case = made_case(upright(), tmp_path / "ct")
    path = sorted(case.origin.path.iterdir())[3]
    ds = dcmread(path)
    ds.BurnedInAnnotation = "YES"
    ds.save_as(path)
    told = {p.stem: dcmread(p).get("BurnedInAnnotation") for p in
            write_dicom(tmp_path / "dicom", target_of(case), case.placed, files)}  # fmt: skip
    assert (told["figure_left_axial"], told["document_report"], told["mesh_implant_left_1"]) == ("YES", "YES", "NO")


def test_frames_of_one_file_are_named_by_their_numbers(tmp_path):
    grid = upright()
    save_one(tmp_path / "ct.dcm", enhanced_dataset(body(grid.shape_zyx), grid, [3, 1, 2, 0, 8, 7, 6, 5, 4]))
    scan = read_dicom(tmp_path / "ct.dcm")
    study = read_study(scan.origin)
    assert [one.frame for one in study.slices] == [4, 2, 3, 1, 9, 8, 7, 6, 5]
    assert len({one.sop_instance for one in study.slices}) == 1
    case = made_case(grid)
    seg = dcmread(write_segmentation(tmp_path / "seg.dcm", Target(study, case.document), case.placed))
    sources = [f.DerivationImageSequence[0].SourceImageSequence[0] for f in seg.PerFrameFunctionalGroupsSequence]
    assert [source.ReferencedFrameNumber for source in sources[:5]] == [3, 1, 9, 8, 7]
    assert len(seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1


def test_a_zip_is_as_good_as_a_folder(case, tmp_path):
    with zipfile.ZipFile(tmp_path / "ct.zip", "w") as archive:
        for path in case.origin.path.iterdir():
            archive.write(path, f"export/{path.name}")
    scan = read_dicom(tmp_path / "ct.zip")
    assert read_study(scan.origin).slices == read_study(case.origin).slices


def test_labels_that_were_given_are_not_called_automatic(case, tmp_path):
    given = made_document(segmentation={"backend": "given-labels", "given_as": "labels"})
    path = write_segmentation(tmp_path / "seg.dcm", Target(read_study(case.origin), given), case.placed)
    assert {segment.SegmentAlgorithmType for segment in dcmread(path).SegmentSequence} == {"SEMIAUTOMATIC"}


def test_names_in_other_letters_and_values_against_the_standard_are_taken_over(tmp_path):
    grid = upright()
    datasets = ct_datasets(body(grid.shape_zyx), grid)
    with disable_value_validation():
        for one in datasets:
            one.SpecificCharacterSet, one.PatientName = "ISO_IR 192", "Müller^Žofie"
            one.PatientAge = "fifty"
    save(tmp_path / "ct", datasets)
    origin = read_dicom(tmp_path / "ct").origin
    case = replace(made_case(grid), origin=origin)
    for path in write_dicom(tmp_path / "dicom", target_of(case), case.placed):
        one = dcmread(path)
        assert str(one.PatientName) == "Müller^Žofie"
        assert one.PatientID == SECRETS[1]


def test_a_study_without_identifiers_takes_no_objects(case):
    study = read_study(case.origin)
    assert what_lacks(study) == ""
    header = deepcopy(study.header)
    del header.StudyInstanceUID
    assert what_lacks(SourceStudy(header, study.slices, True)) == "the CT has no StudyInstanceUID"
    nameless = study.slices[0]._replace(sop_instance="")
    assert "SOPInstanceUID" in what_lacks(SourceStudy(study.header, (nameless,), True))


def test_a_ct_without_dates_or_frame_of_reference_gets_fixed_ones(case, tmp_path):
    study = read_study(case.origin)
    header = deepcopy(study.header)
    del header.StudyDate, header.StudyTime, header.FrameOfReferenceUID
    bare = Target(SourceStudy(header, study.slices, True), case.document)
    path = write_segmentation(tmp_path / "seg.dcm", bare, case.placed)
    seg = dcmread(path)
    assert (seg.ContentDate, seg.StudyDate) == ("19000101", "")
    assert seg.FrameOfReferenceUID == bare.frame_of_reference
    told, _ = run("dciodvfy", str(path))
    assert "Error" not in told


def test_a_ct_that_is_gone_is_named(tmp_path):
    origin = made_case(upright(), tmp_path / "ct").origin
    (tmp_path / "ct" / origin.slices[4][0]).unlink()
    with pytest.raises(UnreadableFileError, match=origin.slices[4][0]):
        read_study(origin)


def test_the_report_keeps_what_the_plan_says(case, tmp_path):
    unsafe = {"status": "no-safe-path", "reason": "neural clearance: 0.8 mm short"}
    document = made_document(sides={**made_document().model_dump()["sides"], "right": unsafe})
    path = write_report(tmp_path / "sr.dcm", Target(read_study(case.origin), document))
    words = path.read_bytes()
    assert b"no-safe-path. neural clearance: 0.8 mm short" in words
    assert b"note, both: Slice spacing 3 mm." in words


def test_highdicom_reads_the_report_by_its_template(objects):
    report = highdicom.sr.srread(objects[1] / "sr.dcm")
    groups = report.content.get_image_measurement_groups()
    assert len(groups) == 2 * (1 + 4 + 2)
    implants = [group for group in groups if group.finding_type == Code("40388003", "SCT", "Implant")]
    assert [group.tracking_identifier for group in implants][:2] == [
        "left implant, candidate 1",
        "left implant, candidate 2",
    ]
    lengths = implants[0].get_measurements(name=Code("410668003", "SCT", "Length"))
    assert [one.value for one in lengths] == [20.0]
    assert {site.laterality.meaning for group in groups for site in group.finding_sites} == {"Left", "Right"}


def test_a_picture_keeps_its_pixels(objects, files):
    with Image.open(files[1]) as picture:
        assert np.array_equal(objects[0]["figure_left_axial"].pixel_array, np.asarray(picture))


@pytest.mark.parametrize(("name", "ending"), [("document_report", ".pdf"), ("mesh_implant_left_1", ".stl")])
def test_documents_come_out_as_they_went_in(objects, files, name, ending):
    original = next(path for path in files if path.suffix == ending).read_bytes()
    one = objects[0][name]
    assert one.EncapsulatedDocument[: one.EncapsulatedDocumentLength] == original


def test_surfaces_refer_to_the_segmentation_and_the_document_to_the_report(objects):
    ones = objects[0]
    series = ones["mesh_implant_left_1"].ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == ones["seg"].SeriesInstanceUID
    assert series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == ones["seg"].SOPInstanceUID
    source = ones["document_report"].SourceInstanceSequence[0]
    assert source.ReferencedSOPInstanceUID == ones["sr"].SOPInstanceUID
