"""Headers of any content: every reader gives a value or refuses in words (`fuzz.targets.answer`).

The campaign damages bytes; here files are well-formed and their values are anything (hypothesis).
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import tempfile
import warnings
import zipfile
from pathlib import Path

import pydicom
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from fuzz.targets import CATALOGUE, CONFIG, TARGETS, answer
from support.made_plan import made_document

ANYTHING = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

HEADER = (
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel",
    "PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "ImagePositionPatient", "ImageOrientationPatient",
    "RescaleSlope", "RescaleIntercept", "NumberOfFrames", "InstanceNumber", "PhotometricInterpretation", "Modality",
    "PatientPosition", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID", "ImageType", "AcquisitionNumber",
    "SpecificCharacterSet", "KVP", "GantryDetectorTilt",
)  # fmt: skip
"""Elements that reading depends on."""

NRRD_FIELDS = (
    "type", "dimension", "space", "sizes", "space directions", "space origin", "endian", "encoding", "kinds",
    "spacings", "byte skip", "line skip", "data file", "block size", "axis mins",
)  # fmt: skip

numbers = st.one_of(
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0, -1, 1e-300, 1e300, 65535, 4294967295]),
)
words = st.one_of(
    st.text(max_size=12),
    numbers.map(str),
    st.lists(numbers.map(str), min_size=2, max_size=7).map("\\".join),
)
leaves = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=12), st.just("planned"))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner)),
    max_leaves=6,
)


def answered(name: str, data: bytes) -> str:
    """Read in a folder of its own; anything but a value or a refusal in words fails."""
    with tempfile.TemporaryDirectory() as folder:
        return answer(TARGETS[name], data, Path(folder))


@ANYTHING
@given(st.dictionaries(st.sampled_from(HEADER), words, min_size=1, max_size=4))
def test_any_dicom_header_is_answered(edits: dict[str, str]) -> None:
    assert answered("dicom", _slice_with(edits))


def _slice_with(edits: dict[str, str]) -> bytes:
    implicit = TARGETS["dicom"].seeds()[1]  # no kinds of values in the file: any bytes count as the right one
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that break the standard, as planned
        ds = pydicom.dcmread(io.BytesIO(implicit))
        for keyword, text in edits.items():
            value = text.encode("utf-8", "replace")
            value += b" " * (len(value) % 2)
            ds[keyword] = RawDataElement(Tag(keyword), None, len(value), value, 0, True, True)
        ds.save_as(stream)
    return stream.getvalue()


@ANYTHING
@given(
    st.lists(st.floats(width=32), min_size=8, max_size=8),
    st.lists(st.floats(width=32), min_size=12, max_size=12),
    st.lists(st.integers(-(2**15), 2**15 - 1), min_size=8, max_size=8),
    st.tuples(st.integers(-3, 5), st.integers(-3, 5), st.sampled_from([0, 2, 4, 8, 16, 64, 512])),
    st.integers(0, 15),
)
def test_any_nifti_header_is_answered(
    pixdim: list[float], affine: list[float], dim: list[int], codes: tuple[int, int, int], which: int
) -> None:
    """`which` says by its bits what of the header is anything."""
    raw = TARGETS["nifti"].seeds()[0]
    head = bytearray(raw)
    if which & 1:
        struct.pack_into("<8f", head, 76, *pixdim)
    if which & 2:
        struct.pack_into("<12f", head, 280, *affine)
    if which & 4:
        struct.pack_into("<8h", head, 40, *dim)
    if which & 8:
        struct.pack_into("<2h", head, 252, *codes[:2])
        struct.pack_into("<h", head, 70, codes[2])
    assert answered("nifti", bytes(head))
    assert answered("nifti-gz", gzip.compress(bytes(head), mtime=0))


@ANYTHING
@given(
    st.dictionaries(
        st.sampled_from(NRRD_FIELDS),
        st.one_of(
            st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=20),
            st.lists(numbers, max_size=4).map(lambda found: " ".join(map(str, found))),
            st.lists(numbers, min_size=3, max_size=3).map(lambda found: "({},{},{})".format(*found)),
        ),
        max_size=3,
    )
)  # fmt: skip
def test_any_nrrd_header_is_answered(edits: dict[str, str]) -> None:
    head, _, body = TARGETS["nrrd"].seeds()[0].partition(b"\n\n")
    lines = [line for line in head.decode("latin-1").split("\n") if line.partition(":")[0] not in edits]
    text = "\n".join([*lines, *(f"{key}: {value}" for key, value in edits.items())])
    assert answered("nrrd", text.encode("latin-1", "replace") + b"\n\n" + body)


names = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20),
    st.sampled_from(
        ["../up.dcm", "/etc/rooted.dcm", "a/../../b.dcm", "C:\\x.dcm", ".", "a/", "~", "a\n.dcm", "a" * 300]
    ),
)


@ANYTHING
@given(st.lists(st.tuples(names, st.binary(max_size=60), st.booleans()), max_size=5))
def test_any_zip_is_answered_and_nothing_leaves_its_folder(members: list[tuple[str, bytes, bool]]) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content, packed in members:
            if name not in archive.namelist():
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)
    with tempfile.TemporaryDirectory() as outer:
        inner = Path(outer, "inner")
        inner.mkdir()
        assert answer(TARGETS["zip"], stream.getvalue(), inner)
        assert [path.name for path in Path(outer).iterdir()] == ["inner"]
        assert {path.name for path in inner.iterdir()} == {"export.zip"}


@ANYTHING
@given(st.sampled_from((CONFIG, CATALOGUE)), st.data())
def test_any_value_in_a_toml_is_answered(text: bytes, data: st.DataObject) -> None:
    lines = text.decode().splitlines()
    settable = [number for number, line in enumerate(lines) if " = " in line]
    number = data.draw(st.sampled_from(settable))
    value = data.draw(st.one_of(numbers.map(str), st.text(max_size=12).map(json.dumps), st.sampled_from(
        ["true", "nan", "-inf", "[]", "{}", "[[1]]", "1979-05-27", "0x10", "{ zero = nan, one = inf }"])))  # fmt: skip
    lines[number] = f"{lines[number].partition(' = ')[0]} = {value}"
    assert answered("toml", "\n".join(lines).encode("utf-8", "surrogatepass"))


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a document of JSON."""
    found = [path] if path else []
    if isinstance(value, dict):
        found += [inner for key in value for inner in places(value[key], (*path, key))]
    elif isinstance(value, list):
        found += [inner for index, item in enumerate(value) for inner in places(item, (*path, index))]
    return found


DOCUMENT = json.loads(made_document().to_json())
PLACES = places(DOCUMENT)


@ANYTHING
@given(st.lists(st.tuples(st.sampled_from(PLACES), values), min_size=1, max_size=2))
def test_any_plan_is_answered(edits: list[tuple[tuple[str | int, ...], object]]) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    for path, value in edits:
        inner = document
        try:
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # the edit before took its place away
    assert answered("plan", json.dumps(document).encode("utf-8", "surrogatepass"))


def test_there_is_much_to_edit() -> None:
    assert len(PLACES) > 300
    assert answered("plan", json.dumps(DOCUMENT).encode()) == "read"
