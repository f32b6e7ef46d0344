"""The best CT series is chosen among others and junk, the reasons are given, and no name leaks."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    JPEG2000,
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from planner.dicom import list_dicom, read_dicom
from planner.dicom.headers import read_instance
from planner.dicom.score import CRITERIA
from planner.dicom.sources import open_source
from planner.errors import GeometryError, InputRefusedError, NoSeriesError, NotHounsfieldError, UnreadableFileError
from planner.findings import Level
from planner.grid import Grid

from support.dicom_files import SECRETS, SERIES_UID, UID_ROOT, ct_datasets, enhanced_dataset, save, save_one, slanted

SAGITTAL = [(1, 0, 0), (0, 0, -1), (0, 1, 0)]


def series(hu, grid, uid: str, **elements) -> list[FileDataset]:
    """Another series of the same patient, with other elements."""
    datasets = ct_datasets(hu, grid)
    for ds in datasets:
        ds.SeriesInstanceUID = UID_ROOT + uid
        for keyword, value in elements.items():
            if value is None:
                del ds[keyword]
            else:
                setattr(ds, keyword, value)
    return datasets


def coarse(hu, grid, step: int = 2) -> tuple[np.ndarray, Grid]:
    matrix = grid.lps_from_zyx.copy()
    matrix[:3, 0] *= step
    return hu[::step], Grid(hu[::step].shape, matrix)


def add_junk(folder) -> None:
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "notes.txt").write_text("not a picture")
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "deep" / "thumb.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(500))
    (folder / "deep" / "er" / "fake.dcm").write_bytes(bytes(128) + b"DICM" + b"\x99" * 300)
    save_one(folder / "deep" / "report.dcm", report())


def report() -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ComprehensiveSRStorage, UID_ROOT + "77"
    ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = ComprehensiveSRStorage, UID_ROOT + "77", "SR"
    return ds


def best(folder) -> list[str]:
    """Reasons of the chosen series."""
    chosen = [r for r in list_dicom(folder) if r.chosen]
    assert len(chosen) == 1
    return list(chosen[0].reasons)


def test_the_best_of_many_series_is_read_from_among_junk(tmp_path, hu, grid):
    thin = ct_datasets(hu, grid)
    save(tmp_path / "PAT1" / "STUDY" / "S1", thin)
    thick = series(*coarse(hu, grid), "21", SliceThickness="2.5")
    save(tmp_path / "PAT1" / "STUDY" / "S2", thick)
    save(tmp_path / "PAT1" / "MR", series(hu, grid, "22", Modality="MR", SOPClassUID=MRImageStorage))
    save(tmp_path / "PAT1", series(hu[:1], grid, "23", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    add_junk(tmp_path)
    scan = read_dicom(tmp_path)
    np.testing.assert_array_equal(scan.load().hu, hu)
    reports = list_dicom(tmp_path)
    assert [(r.modality, r.slices, r.chosen) for r in reports[:2]] == [("CT", 6, True), ("CT", 3, False)]
    assert {r.reasons for r in reports[2:]} >= {("refused: not CT",)}
    assert scan.description["series"] == reports[0].key
    assert scan.description["series_reasons"] == list(reports[0].reasons)


def test_a_better_series_that_is_broken_gives_way_and_is_named_in_a_finding(tmp_path, hu, grid):
    save(tmp_path / "thin", [ds for k, ds in enumerate(ct_datasets(hu, grid)) if k != 2])
    whole, own = coarse(hu, grid, 3)
    save(tmp_path / "thick", series(whole, own, "21", SliceThickness="3.75"))
    scan = read_dicom(tmp_path)
    np.testing.assert_array_equal(scan.load().hu, whole)
    assert [f.code for f in scan.findings] == ["better-series-refused"]
    assert "missing slices" in scan.findings[0].message
    assert list_dicom(tmp_path)[1].reasons[0] == "refused: missing slices"


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"SliceThickness": "5"}, "5.00 mm thick"),
        ({"ConvolutionKernel": "B30f"}, "soft-tissue kernel B30f"),
        ({"ImageType": ["DERIVED", "SECONDARY", "AXIAL"]}, "derived and secondary image"),
        ({"StudyDescription": "HEAD", "SeriesDescription": ""}, "other body part named"),
    ],
)
def test_each_reason_costs_score_and_is_put_in_words(tmp_path, hu, grid, elements, words):
    save(tmp_path / "good", ct_datasets(hu, grid))
    save(tmp_path / "worse", series(hu, grid, "21", **elements))
    good, worse = list_dicom(tmp_path)
    assert good.chosen
    assert not worse.chosen
    assert worse.score < good.score
    assert any(reason.startswith(words) or words in reason for reason in worse.reasons)
    assert not any(words in reason for reason in good.reasons)


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [
        ("B70f", "bone kernel"),
        ("Br64d", "bone kernel"),
        ("BONEPLUS", "bone kernel"),
        ("FC30", "bone kernel"),
        ("YB", "bone kernel"),
        ("B31s", "soft-tissue kernel"),
        ("STANDARD", "soft-tissue kernel"),
        ("FC08", "soft-tissue kernel"),
        ("I40f", "soft-tissue kernel"),
        ("LUNG", "lung kernel"),
        ("Qr40", "kernel Qr40"),
        ("", "kernel unknown"),
    ],
)
def test_kernels_of_the_common_makers_are_known(tmp_path, hu, grid, kernel, kind):
    save(tmp_path, series(hu[:2], Grid((2, *hu.shape[1:]), grid.lps_from_zyx), "2", ConvolutionKernel=kernel))
    assert any(reason.startswith(kind) for reason in best(tmp_path))


def test_axial_is_preferred_but_a_lone_sagittal_stack_is_read(tmp_path, hu, grid):
    sagittal = slanted(grid, SAGITTAL)
    save(tmp_path / "a", series(hu, sagittal, "20"))
    assert any("sagittal slices" in reason for reason in best(tmp_path))
    np.testing.assert_array_equal(read_dicom(tmp_path).load().grid.shape_zyx, hu.shape)
    save(tmp_path / "b", series(hu, grid, "21"))
    assert any("axial slices" in reason for reason in best(tmp_path))


def test_weights_sum_to_one():
    assert sum(c.weight for c in CRITERIA) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("elements", "error", "found"),
    [
        ({"Modality": "MR"}, NoSeriesError, "IM0000.dcm: found modality MR, expected CT"),
        ({"Modality": ""}, NoSeriesError, "found modality none, expected CT"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, NoSeriesError, "found Secondary Capture Image Storage"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, NoSeriesError, "found a localiser, expected a stack"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MIP"]}, NoSeriesError, "found a projection (MIP), expected slices"),
        ({"RescaleSlope": None}, NotHounsfieldError, "found RescaleSlope None and RescaleIntercept -1024.0"),
        ({"RescaleIntercept": None}, NotHounsfieldError, "RescaleIntercept None, expected both"),
        ({"RescaleSlope": "0"}, NotHounsfieldError, "found RescaleSlope 0.0"),
        ({"RescaleType": "US"}, NotHounsfieldError, "found RescaleType US, expected HU"),
        ({"RescaleType": "MGML"}, NotHounsfieldError, "found RescaleType MGML, expected HU"),
        ({"RescaleType": "HU DOE^JANE 1951"}, NotHounsfieldError, "found RescaleType of 16 letters, expected HU"),
        ({"Modality": "DOE JANE"}, NoSeriesError, "found modality of 8 letters, expected CT"),
        ({"ImageType": ["DERIVED", "PRIMARY", "Z_EFF"]}, NotHounsfieldError, "found a map of Z_EFF, expected Houns"),
        ({"SamplesPerPixel": 3}, NotHounsfieldError, "found 3 samples a pixel (colour), expected 1"),
        ({"BitsAllocated": 8, "BitsStored": 8}, NotHounsfieldError, "found 8 of 8 bits a pixel, expected 16"),
        ({"HighBit": 10}, NotHounsfieldError, "found high bit 10, expected 15 for 16 bits"),
    ],
)
def test_what_is_no_ct_in_hounsfield_units_is_refused_by_name(tmp_path, hu, grid, elements, error, found):
    save(tmp_path, series(hu, grid, "20", **elements))
    with pytest.raises(error) as caught:
        read_dicom(tmp_path)
    assert str(caught.value).startswith("IM0000.dcm")
    assert found in str(caught.value)
    assert caught.value.remedy


def test_rescale_type_may_be_absent(tmp_path, hu, grid):
    np.testing.assert_array_equal(read_dicom(save(tmp_path, series(hu, grid, "2", RescaleType=None))).load().hu, hu)


def test_a_localiser_in_the_series_of_its_slices_is_set_apart(tmp_path, hu, grid):
    save(tmp_path, ct_datasets(hu, grid))
    scout = series(hu[:1], slanted(grid, SAGITTAL), "2", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    save(tmp_path / "scout", scout)
    assert scout[0].SeriesInstanceUID == SERIES_UID
    np.testing.assert_array_equal(read_dicom(tmp_path).load().hu, hu)


def test_the_plainest_refusal_of_several_series_is_given(tmp_path, hu, grid):
    save(tmp_path / "mr", series(hu, grid, "21", Modality="MR"))
    save(tmp_path / "ct", [ds for k, ds in enumerate(ct_datasets(hu, grid)) if k != 2])
    with pytest.raises(GeometryError, match="Missing slices"):
        read_dicom(tmp_path)
    assert not any(r.chosen for r in list_dicom(tmp_path))


def test_a_folder_of_junk_is_refused(tmp_path):
    add_junk(tmp_path)
    with pytest.raises(NoSeriesError, match="found 5 files, none of them a whole DICOM image") as caught:
        read_dicom(tmp_path)
    assert "Give the folder or zip that holds the CT images" in str(caught.value)


def test_a_header_cut_short_beside_the_series_is_refused_by_name(tmp_path, hu, grid):
    save(tmp_path, ct_datasets(hu, grid))
    last = tmp_path / "IM0084.dcm"
    last.write_bytes(last.read_bytes()[:500])
    with pytest.raises(UnreadableFileError, match=r"IM0084\.dcm: found a CT file whose header is cut short"):
        read_dicom(tmp_path)


def test_a_header_cut_short_elsewhere_is_a_finding(tmp_path, hu, grid):
    save(tmp_path / "a", ct_datasets(hu, grid))
    save(tmp_path / "b", series(hu, grid, "9")[:1])
    broken = tmp_path / "b" / "IM0000.dcm"
    broken.write_bytes(broken.read_bytes()[:500])
    assert [f.code for f in read_dicom(tmp_path).findings] == ["damaged-files"]


def test_two_patients_in_one_folder_are_for_review_only(tmp_path, hu, grid):
    save(tmp_path / "a", ct_datasets(hu, grid))
    save(tmp_path / "b", series(hu, grid, "9", PatientID="other"))
    found = read_dicom(tmp_path).findings
    assert [(f.code, f.level) for f in found] == [("several-patients", Level.REVIEW_ONLY)]


def test_lossy_compression_is_a_finding(tmp_path, hu, grid):
    scan = read_dicom(save(tmp_path, series(hu, grid, "2", LossyImageCompression="01")))
    assert [(f.code, f.level) for f in scan.findings] == [("lossy-compression", Level.WARN)]


@pytest.mark.parametrize(("flag", "codes"), [("", ["lossy-compression"]), ("00", [])])
def test_a_syntax_that_may_lose_detail_is_a_finding_unless_the_header_denies_it(tmp_path, hu, grid, flag, codes):
    datasets = series(hu, grid, "2", LossyImageCompression=flag)
    for ds in datasets:
        ds.compress(JPEG2000, j2k_cr=[1.0], generate_instance_uid=False)
    for k, ds in enumerate(datasets):
        ds.save_as(tmp_path / f"{k}.dcm")
    assert [f.code for f in read_dicom(tmp_path).findings] == codes


def test_enhanced_multi_frame(tmp_path, hu, grid):
    ds = enhanced_dataset(hu, grid, order=[3, 0, 5, 1, 4, 2])
    path = save_one(tmp_path / "one.dcm", ds)
    scan = read_dicom(path)
    np.testing.assert_array_equal(scan.load().hu, hu)
    assert scan.load().grid.same_as(grid, 1e-6)
    assert scan.description["slices"] == 6
    assert scan.description["slice_thickness_mm"] == 1.25


def test_enhanced_frame_is_named_in_a_refusal(tmp_path, hu, grid):
    ds = enhanced_dataset(hu, grid, order=[3, 0, 5, 1, 4])
    path = save_one(tmp_path / "one.dcm", ds)
    with pytest.raises(GeometryError, match=r"gap of 2\.50 mm between one\.dcm frame 4 and one\.dcm frame 1"):
        read_dicom(path)


def test_enhanced_frames_that_are_no_hounsfield_units(tmp_path, hu, grid):
    ds = enhanced_dataset(hu, grid)
    ds.PerFrameFunctionalGroupsSequence[2].PixelValueTransformationSequence[0].RescaleType = "MGML"
    with pytest.raises(NotHounsfieldError, match=r"one\.dcm frame 3: found RescaleType MGML, expected HU"):
        read_dicom(save_one(tmp_path / "one.dcm", ds))


def test_enhanced_stacks_are_series_of_their_own(tmp_path, hu, grid):
    ds = enhanced_dataset(np.concatenate([hu, hu]), Grid((12, *hu.shape[1:]), grid.lps_from_zyx))
    for k, groups in enumerate(ds.PerFrameFunctionalGroupsSequence):
        groups.PlanePositionSequence[0].ImagePositionPatient = [f"{v:.6f}" for v in grid.to_lps((k % 6, 0, 0))]
        content = Dataset()
        content.StackID = str(k // 6)
        groups.FrameContentSequence = [content]
    path = save_one(tmp_path / "one.dcm", ds)
    assert [r.slices for r in list_dicom(path)] == [6, 6]
    np.testing.assert_array_equal(read_dicom(path).load().hu, hu)


def test_a_truncated_enhanced_file_is_refused(tmp_path, hu, grid):
    path = save_one(tmp_path / "one.dcm", enhanced_dataset(hu, grid))
    path.write_bytes(path.read_bytes()[:-100])
    expected = hu.size * 2
    with pytest.raises(UnreadableFileError, match=f"found {expected - 100} bytes of pixel data, expected {expected}"):
        read_dicom(path)


def test_a_file_without_preamble_is_read(tmp_path, hu, grid):
    save(tmp_path, ct_datasets(hu, grid), "1.2.840.10008.1.2")
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        path.write_bytes(data[data.index(b"\x08\x00\x08\x00") :])
    np.testing.assert_array_equal(read_dicom(tmp_path).load().hu, hu)


def breakages(hu, grid):
    """One broken series of every kind."""
    yield series(hu, grid, "2", Modality="MR")
    yield series(hu, grid, "2", RescaleType="US")
    yield series(hu, grid, "2", ImagePositionPatient=None)
    yield [ds for k, ds in enumerate(ct_datasets(hu, grid)) if k != 2]
    yield [*ct_datasets(hu, grid), *series(hu[:1], grid, "2")]
    yield series(hu[:1], grid, "2")
    yield series(hu, grid, "2", PixelData=None)
    yield series(hu, grid, "2", PixelData=bytes(100))


def test_no_message_report_or_description_holds_a_name_or_uid(tmp_path, hu, grid):
    words = []
    for k, datasets in enumerate(breakages(hu, grid)):
        for ds in datasets:
            ds.ConvolutionKernel = SECRETS[0]
        folder = save(tmp_path / f"s{k}", datasets)
        with pytest.raises(InputRefusedError) as caught:
            read_dicom(folder)
        words += [str(caught.value), repr(list_dicom(folder))]
    scan = read_dicom(save(tmp_path / "good", series(hu, grid, "2", ConvolutionKernel=SECRETS[0])))
    words += [repr(scan.description), repr(scan.findings), repr(list_dicom(tmp_path / "good"))]
    for text in words:
        assert not any(secret in text for secret in (*SECRETS, "DOE", "JANE", "4711", UID_ROOT)), text


def test_headers_that_were_met_before_give_the_same_slices(tmp_path, hu, grid):
    """One header is remembered for each kind; what differs by more than its place is read anew."""
    odd = series(hu, grid, "9", RescaleIntercept="-1000")
    odd[2].RescaleSlope = "2"
    save(tmp_path / "a", ct_datasets(hu, grid))
    save(tmp_path / "b", odd)
    save(tmp_path / "c", ct_datasets(hu, grid), RLELossless)
    save_one(tmp_path / "d.dcm", enhanced_dataset(hu, grid))
    known: dict = {}
    with open_source(tmp_path) as source:
        for name in source.names():
            with source.open(name) as stream:
                quick = read_instance(stream, name, known)
            with source.open(name) as stream:
                assert quick == read_instance(stream, name), name
    assert len(known) == 4
