"""What is written where, and what is said of what is not."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from pydicom import dcmread

from planner.config import PlanConfig, load_config
from planner.exports import ExportConfig, write_exports
from planner.seg_labels import LABEL_MAP_STORAGE

from support.made_plan import made_case, made_document, upright

FOLDERS = {"markups", "meshes", "dicom", "labels.seg.nrrd", "keepout.seg.nrrd"}
OBJECTS = {"seg.dcm", "seg_keepout.dcm", "sr.dcm"}


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return made_case(upright(), tmp_path_factory.mktemp("ct"))


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_all_is_written_unless_turned_off(case, tmp_path):
    assert write_exports(case, tmp_path, ExportConfig()) == ""
    assert names(tmp_path) == FOLDERS
    bones = {"sacrum", "hip_left", "hip_right", "lumbar", "femur_left", "femur_right"}
    implants = {f"implant_{side}_{rank}" for side in ("left", "right") for rank in (1, 2)}
    assert names(tmp_path / "meshes") == {f"{name}.stl" for name in bones | implants}
    assert names(tmp_path / "dicom") == OBJECTS | {f"mesh_{name}.dcm" for name in bones | implants}


@pytest.mark.parametrize(
    ("off", "gone"),
    [
        ({"slicer": False}, {"markups", "labels.seg.nrrd", "keepout.seg.nrrd"}),
        ({"meshes": ()}, {"meshes"}),
        ({"dicom": False}, {"dicom"}),
    ],
    ids=["slicer", "meshes", "dicom"],
)
def test_each_may_be_turned_off(case, tmp_path, off, gone):
    reason = write_exports(case, tmp_path, ExportConfig(**off))
    assert names(tmp_path) == FOLDERS - gone
    assert reason == ("exports.dicom is off" if "dicom" in off else "")


def test_an_input_that_is_no_dicom_gets_none_and_says_so(tmp_path):
    assert write_exports(made_case(upright()), tmp_path, ExportConfig()) == "the input is not DICOM"
    assert names(tmp_path) == FOLDERS - {"dicom"}


def test_only_stl_goes_into_dicom(case, tmp_path):
    write_exports(case, tmp_path, ExportConfig(meshes=("ply", "obj"), segmentation="labelmap"))
    assert {path.suffix for path in (tmp_path / "meshes").iterdir()} == {".ply", ".obj"}
    assert names(tmp_path / "dicom") == OBJECTS
    assert dcmread(tmp_path / "dicom" / "seg.dcm").SOPClassUID == LABEL_MAP_STORAGE


def test_no_file_is_named_for_the_patient(case, tmp_path):
    write_exports(case, tmp_path, ExportConfig())
    assert not [path for path in tmp_path.rglob("*") if "PHANTOM" in path.name.upper()]


def test_same_case_same_bytes(case, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_exports(case, tmp_path / name, ExportConfig())
    first = {path.relative_to(tmp_path / "a"): path for path in (tmp_path / "a").rglob("*") if path.is_file()}
    assert len(first) > 40
    for name, path in first.items():
        assert path.read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_settings_are_a_section_of_the_configuration(tmp_path):
    (tmp_path / "config.toml").write_text('[exports]\nmeshes = ["stl", "obj"]\nsegmentation = "labelmap"\n')
    config = load_config(tmp_path / "config.toml")
    assert config.exports == ExportConfig(meshes=("stl", "obj"), segmentation="labelmap")
    assert PlanConfig().exports.dicom


def test_an_unknown_format_is_refused():
    with pytest.raises(ValidationError):
        ExportConfig(meshes=("blend",))


def test_the_plan_is_not_changed(case, tmp_path):
    write_exports(case, tmp_path, ExportConfig())
    assert case.document == made_document()
