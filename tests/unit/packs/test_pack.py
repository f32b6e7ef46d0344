"""A pack of a case whose result is full of the patient's names holds none of them, anywhere."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import shutil
import warnings
import zipfile
import zlib
from base64 import a85decode
from contextlib import suppress

import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw, PngImagePlugin
from pydicom.uid import UID, SecondaryCaptureImageStorage
from reportlab.pdfgen.canvas import Canvas

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
TIMES = {"DA": "19371231", "TM": "235913", "DT": "19371231235913", "AS": "097Y"}
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
    _picture(folder / "figures" / "cover.png")
    write_exports(case, folder, ExportConfig(), [folder / "figures" / "cover.png", _paper(folder / "report.pdf")])
    shown = {"figures/cover.png": _sha256(folder / "figures" / "cover.png")}
    _picture(folder / "figures" / "overview.png")
    shown["figures/overview.png"] = _sha256(folder / "figures" / "overview.png")
    _write_on(folder / "figures" / "overview.png")
    _picture(folder / "figures" / f"{PLANTED}.png")
    for path in (folder / "dicom").iterdir():
        _plant(path)
    _burn(folder / "dicom" / "figure_cover.dcm")
    (folder / "dicom" / f"{PLANTED}.dcm").write_bytes((folder / "dicom" / "sr.dcm").read_bytes())
    for name in ("labels.nii.gz", "keepout.nii.gz"):
        _plant_in_nifti(folder / name)
    for path in (*folder.glob("meshes/*"), *folder.glob("markups/*"), *folder.glob("*.seg.nrrd")):
        path.write_bytes(PLANTED.encode() + path.read_bytes() + PLANTED.encode())
    (folder / "joint_left.ply").write_bytes(_surface())
    (folder / "report.html").write_text(f"<p>{PLANTED}</p>")
    (folder / f"{PLANTED}.txt").write_text(PLANTED)
    settings = {"config": {"report": {"patient": ""}}}
    manifest = {"input": {"kernel": PLANTED}, "settings": settings, "shown": shown, PLANTED: PLANTED}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def _picture(path):
    """A picture with texts in its file: plain, compressed, international, Exif, and behind its end."""
    note = PngImagePlugin.PngInfo()
    note.add_text("Title", PLANTED)
    note.add_text("Author", PLANTED, zip=True)
    note.add_itxt("Comment", PLANTED, zip=True)
    exif = Image.Exif()
    exif[0x010E] = PLANTED
    Image.new("RGB", (64, 48), "white").save(path, pnginfo=note, exif=exif)
    path.write_bytes(path.read_bytes() + PLANTED.encode())


def _write_on(path):
    """Write a name into a picture's pixels."""
    with Image.open(path) as picture:
        drawn = picture.convert("RGB")
    ImageDraw.Draw(drawn).text((2, 2), "VARNHAGEN", fill="black")
    array = np.asarray(drawn).copy()
    array[40].flat[: len(BURNED)] = np.frombuffer(BURNED, np.uint8)
    Image.fromarray(array).save(path)


def _paper(path):
    """A PDF with an identifier in its words and its properties, compressed and not."""
    for compressed, part in ((1, path.with_suffix(".1")), (0, path)):
        paper = Canvas(str(part), pageCompression=compressed, invariant=True)
        paper.setAuthor(PLANTED)
        paper.setTitle(PLANTED)
        paper.drawString(72, 72, PLANTED)
        paper.save()
    path.write_bytes(path.with_suffix(".1").read_bytes() + path.read_bytes())
    path.with_suffix(".1").unlink()
    return path


def _plant_in_nifti(path):
    """An identifier in the header's texts, and in the name that gzip keeps of the file."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    for at, width in ((14, 18), (148, 80), (228, 24), (328, 16)):  # db_name, descrip, aux_file, intent_name
        content[at : at + width] = PLANTED.encode()[:width].ljust(width, b"\0")
    with path.open("wb") as stream, gzip.GzipFile(f"{PLANTED}.nii", "wb", fileobj=stream) as packed:
        packed.write(content)


def _surface():
    """A surface with an identifier in its comments, in a line of no meaning and behind a count."""
    fields = ("double x", "double y", "double z", "float gap_mm", "uchar zone", "uchar third")
    head = ["ply", "format binary_little_endian 1.0", f"comment {PLANTED}", f"obj_info {PLANTED}", PLANTED,
            f"element vertex 3 {PLANTED}", *(f"property {field}" for field in fields), "element face 1",
            "property list uchar int vertex_indices", "end_header", ""]  # fmt: skip
    kinds = [("xyz", "<f8", (3,)), ("gap", "<f4"), ("zone", "u1"), ("third", "u1")]
    points = np.array([((0, 0, 0), 1, 1, 2), ((9, 0, 0), 1, 1, 2), ((0, 9, 0), 1, 1, 2)], np.dtype(kinds))
    return "\n".join(head).encode() + points.tobytes() + b"\3" + np.arange(3, dtype="<i4").tobytes()


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _plant(path):
    """An identifier in every text, at every depth, in dates, UIDs and private elements, in file and data alike."""
    ds = pydicom.dcmread(path)
    for element in ds.iterall():
        if element.VR in TEXT_VRS and element.keyword not in ("SpecificCharacterSet", "SegmentationType"):
            element.value = PLANTED
        elif element.VR in TIMES:
            element.value = TIMES[element.VR]
    if path.name == "seg.dcm":
        ds.PatientName, ds.PatientID = f"{PLANTED}^JOSEPHA", f"{PLANTED}-1"
        ds.AccessionNumber = ds.StudyID = ds.StudyDescription = PLANTED
        ds.PatientBirthDate, ds.PatientAge, ds.StudyDate = "19371231", "097Y", "19371231"
    for item in (ds, *_items(ds)):
        block = item.private_block(0x0099, PLANTED, create=True)
        block.add_new(1, "LO", PLANTED)
        block.add_new(2, "OB", PLANTED.encode())
        block.add_new(3, "UN", PLANTED.encode())
    ds.file_meta.PrivateInformationCreatorUID, ds.file_meta.PrivateInformation = "1.2.3", PLANTED.encode()
    ds.preamble = PLANTED.encode().ljust(128, b"\0")
    with pydicom.config.disable_value_validation():
        ds.save_as(path)
    with path.open("ab") as stream:
        stream.write(b"\xfc\xff\xfc\xffOB\0\0" + (14).to_bytes(4, "little") + PLANTED.encode().ljust(14))


def _items(ds):
    """Every item of every sequence."""
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                yield item
                yield from _items(item)


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
        yield from _inflated(content[found.start() :])
    for found in re.finditer(rb"stream\r?\n([!-u\sz]+?)~>", content):
        with suppress(ValueError):
            yield from _inflated(a85decode(found[1]))


def _inflated(content):
    try:
        yield zlib.decompressobj().decompress(content)
    except zlib.error:
        return


def objects(file):
    return {n: pydicom.dcmread(io.BytesIO(body)) for n, body in members(file).items() if n.endswith(".dcm")}


def originals(result):
    """UIDs of the CT, and of the objects that a PACS may have of this plan."""
    found = set()
    for path in result.glob("dicom/*.dcm"):
        ds = pydicom.dcmread(path)
        found |= {str(ds[k].value) for k in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")}
        found |= {str(e.value) for e in ds.iterall() if e.keyword.startswith("Referenced") and e.VR == "UI"}
        found |= {str(e.value) for e in ds.iterall() if e.keyword == "FrameOfReferenceUID"}
    return {uid for uid in found if UID(uid).name == uid}  # SOP classes are no one's


PLANTED_IN = ("manifest.json", "report.html", "report.pdf", "labels.nii.gz", "keepout.nii.gz",
              "joint_left.ply", "figures/cover.png", "meshes/sacrum.stl", "dicom/seg.dcm", "dicom/sr.dcm",
              "dicom/figure_cover.dcm", "dicom/document_report.dcm", "dicom/mesh_sacrum.dcm")  # fmt: skip


@pytest.mark.parametrize("name", PLANTED_IN)
def test_the_test_plants_what_it_looks_for(result, name):
    assert any(PLANTED.encode() in body for body in unpacked((result / name).read_bytes()))


def test_the_test_plants_in_every_kind_of_element(result):
    assert BURNED in (result / "dicom/figure_cover.dcm").read_bytes()
    with Image.open(result / "figures/overview.png") as picture:
        assert BURNED in np.asarray(picture).tobytes()
    kinds, depths, private = set(), set(), 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that break the standard, as planned
        for path in result.glob("dicom/*.dcm"):
            ds = pydicom.dcmread(path)
            for element in ds.iterall():
                if str(element.value) in (PLANTED, str(PLANTED.encode())):
                    kinds.add(element.VR)
                    private += element.tag.is_private
            depths.add(sum(1 for _ in _items(ds)) > 3)
    assert {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UT"} & kinds >= {"CS", "LO", "PN", "SH", "LT"}
    assert private > 50
    assert True in depths
    assert len(originals(result)) > 10


def test_no_planted_identifier_is_anywhere_in_the_pack(packed, result):
    _, file = packed
    wanted = [PLANTED.lower().encode(), b"varnhagen", b"josepha", b"19371231", b"235913", b"097y", BURNED]
    wanted += map(str.encode, originals(result))
    everything = {"the archive": file.read_bytes(), **members(file)}
    for name, content in everything.items():
        assert PLANTED.lower() not in name.lower()
        for body in unpacked(content):
            assert not [one for one in wanted if one in body.lower() or one in body], name


def test_no_words_of_the_report_name_anyone(packed):
    """What a reader sees: the text of every PDF in the pack, and nothing planted in it."""
    papers = [members(packed[1])["report.pdf"], objects(packed[1])["dicom/document_report.dcm"].EncapsulatedDocument]
    for paper in papers:
        words = b" ".join(unpacked(paper))
        assert b"sacroplan" in words
        assert PLANTED.encode() not in words


def test_the_pack_holds_what_a_representative_needs(packed):
    report, file = packed
    names = set(members(file))
    assert names == set(report.members)
    assert {"implants.csv", "report.pdf", "plan.json", "pack.json", "figures/cover.png", "meshes/sacrum.stl"} <= names
    segmentations = {"dicom/seg.dcm", "dicom/seg_keepout.dcm"}
    assert segmentations | {"dicom/sr.dcm", "dicom/figure_cover.dcm", "dicom/document_report.dcm"} <= names
    assert set(report.left_out) == {"report.html", "a file in figures/", "figures/overview.png"}
    assert "changed after it was written" in report.left_out["figures/overview.png"]
    assert "figures/overview.png" not in names
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


@pytest.mark.parametrize("name", ["dicom/seg.dcm", "dicom/seg_keepout.dcm"])
def test_the_segmentation_is_the_same(packed, result, name):
    with pydicom.config.disable_value_validation():
        own = pydicom.dcmread(result / name)
    new = objects(packed[1])[name]
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


@pytest.mark.parametrize("where", [(), ("input",), ("sides", "left")])
def test_a_plan_to_which_someone_has_added_is_refused(result, tmp_path, where):
    plan = json.loads((result / "plan.json").read_text())
    inner = plan
    for key in where:
        inner = inner[key]
    inner["remark"] = PLANTED
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(UnreadableFileError, match="remark"):
        write_pack(tmp_path, tmp_path / "pack.zip", KEY, load_catalogue(None))


def test_a_ct_with_text_burned_in_gives_no_pictures(result, packed, tmp_path):
    folder = tmp_path / "result"
    shutil.copytree(result, folder)
    path = folder / "dicom/figure_cover.dcm"
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        ds = pydicom.dcmread(path)
        ds.BurnedInAnnotation = "YES"
        ds.save_as(path)
    report = write_pack(folder, tmp_path / "pack.zip", KEY, load_catalogue(None))
    assert not [name for name in report.members if "figure" in name]
    assert b"/Subtype /Image" in members(packed[1])["report.pdf"]
    assert "burned into" in report.left_out["figures/cover.png"]
    assert b"/Subtype /Image" not in members(tmp_path / "pack.zip")["report.pdf"]


def test_a_clean_page_is_packed(result, tmp_path):
    folder = tmp_path / "result"
    folder.mkdir()
    for name in ("labels.nii.gz", "keepout.nii.gz", "plan.json"):
        (folder / name).write_bytes((result / name).read_bytes())
    (folder / "report.html").write_text(f"<p>{NOTICE} {'ab' * 32}</p>")
    shown = {"report.html": _sha256(folder / "report.html")}
    (folder / "manifest.json").write_text(json.dumps({"shown": shown}))
    report = write_pack(folder, tmp_path / "pack.zip", KEY, load_catalogue(None))
    assert set(report.left_out) == {"dicom/"}
    assert b"abab" not in members(tmp_path / "pack.zip")["report.html"]
    settings = {"config": {"report": {"patient": "J. D."}}}
    (folder / "manifest.json").write_text(json.dumps({"settings": settings, "shown": shown}))
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
