"""A pack of a case whose result is full of the patient's names holds none of them, anywhere."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
import zlib

import numpy as np
import pydicom
import pytest
from PIL import Image, PngImagePlugin
from pydicom.uid import SecondaryCaptureImageStorage

from pipelines.packs.pseudonyms import KEY_BYTES, Pseudonyms, site_key
from pipelines.packs.study import OPTIONS
from pipelines.packs.write import write_pack
from planner import NOTICE
from planner.errors import ConfigError, UnreadableFileError
from planner.exports import ExportConfig, write_exports
from planner.images import write_labels
from planner.implants import load_catalogue

from support.made_plan import bones, keepouts, made_case, made_document, upright

PLANTED = "ZQXVARNHAGEN"
BURNED = bytes(range(1, 60))
"""A row of pixels that stands for burned-in text."""
TEXT_VRS = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
KEY = Pseudonyms(bytes(range(KEY_BYTES)))


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """A result folder with an identifier in everything that can hold one."""
    folder = tmp_path_factory.mktemp(f"result_{PLANTED}")
    grid = upright()
    case = made_case(grid, tmp_path_factory.mktemp("ct"))
    (folder / "plan.json").write_text(case.document.to_json())
    write_labels(folder / "labels.nii.gz", bones(grid))
    write_labels(folder / "keepout.nii.gz", keepouts(grid))
    (folder / "figures").mkdir()
    note = PngImagePlugin.PngInfo()
    note.add_text("Title", PLANTED)
    Image.new("RGB", (64, 48), "white").save(folder / "figures" / "cover.png", pnginfo=note)
    Image.new("RGB", (64, 48)).save(folder / "figures" / f"{PLANTED}.png")
    write_exports(case, folder, ExportConfig(), [folder / "figures" / "cover.png"])
    for path in (folder / "dicom").iterdir():
        _plant(path)
    _burn(folder / "dicom" / "figure_cover.dcm")
    (folder / "dicom" / f"{PLANTED}.dcm").write_bytes((folder / "dicom" / "sr.dcm").read_bytes())
    (folder / "meshes" / "sacrum.stl").write_bytes(PLANTED.encode())
    (folder / "report.pdf").write_bytes(b"%PDF-1.4\nstream\n" + zlib.compress(PLANTED.encode()) + b"\nendstream\n")
    (folder / "report.html").write_text(f"<p>{PLANTED}</p>")
    (folder / "manifest.json").write_text(json.dumps({"input": {"kernel": PLANTED}, "settings": {"config": {}}}))
    return folder


def _plant(path):
    """An identifier in every text, at every depth, in dates, UIDs and private elements."""
    ds = pydicom.dcmread(path)
    if path.name == "seg.dcm":
        ds.PatientName, ds.PatientID = f"{PLANTED}^JOSEPHA", f"{PLANTED}-1"
        ds.AccessionNumber = ds.StudyID = ds.StudyDescription = PLANTED
        ds.StudyDate = ds.PatientBirthDate = "19371231"
    for element in ds.iterall():
        if element.VR in TEXT_VRS and element.keyword not in ("SpecificCharacterSet", "SegmentationType"):
            element.value = PLANTED
    block = ds.private_block(0x0099, PLANTED, create=True)
    block.add_new(1, "LO", PLANTED)
    with pydicom.config.disable_value_validation():
        ds.save_as(path)


def _burn(path):
    ds = pydicom.dcmread(path)
    assert ds.SOPClassUID == SecondaryCaptureImageStorage
    ds.PixelData = BURNED + ds.PixelData[len(BURNED) :]
    ds.save_as(path)


@pytest.fixture(scope="module")
def packed(result, tmp_path_factory):
    file = tmp_path_factory.mktemp("packed") / "pack.zip"
    return write_pack(result, file, KEY, load_catalogue(None)), file


def members(file):
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def unpacked(content):
    """The bytes, and what is packed in them."""
    yield content
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    if content[:4] == b"\x89PNG":
        with Image.open(io.BytesIO(content)) as picture:
            yield np.asarray(picture).tobytes() + repr(picture.info).encode()
    for found in re.finditer(rb"(?=x\x9c|x\xda|x\x01)", content):
        try:
            yield zlib.decompressobj().decompress(content[found.start() :])
        except zlib.error:
            continue


def objects(file):
    return {n: pydicom.dcmread(io.BytesIO(body)) for n, body in members(file).items() if n.endswith(".dcm")}


def originals(result):
    seg = pydicom.dcmread(result / "dicom/seg.dcm")
    refs = seg.ReferencedSeriesSequence[0]
    uids = [item.ReferencedSOPInstanceUID for item in refs.ReferencedInstanceSequence]
    return {str(u) for u in (seg.StudyInstanceUID, seg.FrameOfReferenceUID, refs.SeriesInstanceUID, *uids)}


def test_the_test_plants_what_it_looks_for(result):
    planted = sum(PLANTED.encode() in path.read_bytes() for path in result.rglob("*") if path.is_file())
    assert planted >= len(list((result / "dicom").iterdir()))
    assert BURNED in (result / "dicom/figure_cover.dcm").read_bytes()


def test_no_planted_identifier_is_anywhere_in_the_pack(packed, result):
    _, file = packed
    wanted = [PLANTED.lower().encode(), b"josepha", b"19371231", BURNED, *map(str.encode, originals(result))]
    everything = {"the archive": file.read_bytes(), **members(file)}
    for name, content in everything.items():
        assert PLANTED.lower() not in name.lower()
        for body in unpacked(content):
            assert not [one for one in wanted if one in body.lower() or one in body], name


def test_the_pack_holds_what_a_representative_needs(packed):
    report, file = packed
    names = set(members(file))
    assert names == set(report.members)
    assert {"implants.csv", "report.pdf", "plan.json", "pack.json", "figures/cover.png", "meshes/sacrum.stl"} <= names
    assert {"dicom/seg.dcm", "dicom/sr.dcm", "dicom/figure_cover.dcm", "dicom/document_report.dcm"} <= names
    assert set(report.left_out) == {"report.html", "a file in figures/"}
    assert members(file)["meshes/sacrum.stl"][:8] != PLANTED.encode()[:8]


def test_every_object_says_how_it_was_de_identified(packed):
    for name, ds in objects(packed[1]).items():
        assert ds.PatientIdentityRemoved == "YES", name
        codes = [item.CodeValue for item in ds.DeidentificationMethodCodeSequence]
        assert codes == [code for code, _ in OPTIONS], name
        assert ds.LongitudinalTemporalInformationModified == "MODIFIED", name
        assert (ds.PatientBirthDate, ds.PatientSex, ds.AccessionNumber) == ("", "", ""), name
        assert not any(element.tag.is_private for element in ds.iterall()), name


def test_uids_agree_over_all_objects(packed, result):
    ds = objects(packed[1])
    seg = pydicom.dcmread(result / "dicom/seg.dcm")
    assert {str(one.StudyInstanceUID) for one in ds.values()} == {KEY.uid(str(seg.StudyInstanceUID))}
    frames = {str(one.FrameOfReferenceUID) for one in ds.values() if "FrameOfReferenceUID" in one}
    assert frames == {KEY.uid(str(seg.FrameOfReferenceUID))}
    frames = {str(e.value) for e in ds["dicom/sr.dcm"].iterall() if e.keyword == "ReferencedFrameOfReferenceUID"}
    assert frames == {KEY.uid(str(seg.FrameOfReferenceUID))}
    own = seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    new = ds["dicom/seg.dcm"].ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert [one.ReferencedSOPInstanceUID for one in new] == [KEY.uid(str(one.ReferencedSOPInstanceUID)) for one in own]


def test_the_segmentation_is_the_same(packed, result):
    with pydicom.config.disable_value_validation():
        own = pydicom.dcmread(result / "dicom/seg.dcm")
    new = objects(packed[1])["dicom/seg.dcm"]
    assert (new.Rows, new.Columns, new.NumberOfFrames) == (own.Rows, own.Columns, own.NumberOfFrames)
    assert new.PixelData == own.PixelData


def test_packs_of_one_key_agree_and_of_another_do_not(packed, result, tmp_path):
    write_pack(result, tmp_path / "again.zip", KEY, load_catalogue(None))
    assert (tmp_path / "again.zip").read_bytes() == packed[1].read_bytes()
    write_pack(result, tmp_path / "other.zip", Pseudonyms(bytes(KEY_BYTES)), load_catalogue(None))
    ours, theirs = objects(packed[1])["dicom/sr.dcm"], objects(tmp_path / "other.zip")["dicom/sr.dcm"]
    for keyword in ("PatientID", "StudyInstanceUID", "SOPInstanceUID", "StudyDate"):
        assert ours[keyword].value != theirs[keyword].value


def test_dates_of_a_patient_move_together():
    first, second = KEY.date("20260110", "A"), KEY.date("20260117", "A")
    assert int(second) != 20260117
    assert pydicom.valuerep.DA(second) - pydicom.valuerep.DA(first) == pydicom.valuerep.DA("20260117") - (
        pydicom.valuerep.DA("20260110")
    )
    assert KEY.date("", "A") == KEY.date("soon", "A") == ""


def test_every_member_is_listed_with_its_hash_and_the_notice_is_there(packed):
    contents = members(packed[1])
    listed = json.loads(contents["pack.json"])
    assert set(listed["files"]) == set(contents) - {"pack.json"}
    for name in ("README.txt", "implants.csv", "plan.json", "pack.json"):
        assert NOTICE in contents[name].decode()


def test_the_list_of_implants_has_the_other_sizes(packed):
    lines = members(packed[1])["implants.csv"].decode().splitlines()
    assert len(lines) == 2 + 4
    assert lines[2].startswith("left,1,green,GENERIC-DOWEL,")


def test_an_identifier_in_the_plan_stops_the_pack(result, tmp_path):
    folder = tmp_path / "result"
    folder.mkdir()
    for name in ("labels.nii.gz", "keepout.nii.gz"):
        (folder / name).write_bytes((result / name).read_bytes())
    (folder / "dicom").mkdir()
    (folder / "dicom/seg.dcm").write_bytes((result / "dicom/seg.dcm").read_bytes())
    finding = {"code": "note", "level": "note", "side": "both", "message": f"Scan of {PLANTED}-1."}
    (folder / "plan.json").write_text(made_document(findings=[finding]).to_json())
    with pytest.raises(ConfigError, match=r"plan\.json"):
        write_pack(folder, tmp_path / "pack.zip", KEY, load_catalogue(None))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result"]


def test_a_clean_page_is_packed(result, tmp_path):
    folder = tmp_path / "result"
    folder.mkdir()
    for name in ("labels.nii.gz", "keepout.nii.gz", "plan.json"):
        (folder / name).write_bytes((result / name).read_bytes())
    (folder / "report.html").write_text(f"<p>{NOTICE} {'ab' * 32}</p>")
    report = write_pack(folder, tmp_path / "pack.zip", KEY, load_catalogue(None))
    assert set(report.left_out) == {"dicom/"}
    assert b"abab" not in members(tmp_path / "pack.zip")["report.html"]
    (folder / "manifest.json").write_text(json.dumps({"settings": {"config": {"report": {"patient": "J. D."}}}}))
    assert "report.html" in write_pack(folder, tmp_path / "pack.zip", KEY, load_catalogue(None)).left_out


def test_a_folder_without_a_plan_is_refused(tmp_path):
    with pytest.raises(UnreadableFileError):
        write_pack(tmp_path, tmp_path / "pack.zip", KEY, load_catalogue(None))


def test_a_key_is_made_once_for_its_owner_alone(tmp_path):
    key = site_key(tmp_path / "new" / "key")
    assert len(key) == KEY_BYTES
    assert site_key(tmp_path / "new" / "key") == key
    assert (tmp_path / "new" / "key").stat().st_mode & 0o077 == 0
    (tmp_path / "short").write_bytes(b"secret")
    with pytest.raises(ConfigError, match="6 bytes"):
        site_key(tmp_path / "short")
