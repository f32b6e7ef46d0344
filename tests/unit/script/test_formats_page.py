"""The page of formats is measured: points that moved are seen, and tables go between their marks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from planner.exports import ExportConfig, write_exports
from planner.images import write_placed_labels

from support.made_plan import GRIDS, made_case

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "script"))
        import formats_page

        yield formats_page


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """A result folder but for what needs a scan that can be planned."""
    folder = tmp_path_factory.mktemp("result")
    case = made_case(GRIDS["oblique"], folder / "ct")
    picture = folder / "cover.png"
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(picture)
    write_exports(case, folder, ExportConfig(meshes=("stl", "ply", "obj")), [picture])
    (folder / "plan.json").write_text(case.document.to_json(), "utf-8")
    write_placed_labels(folder / "labels.nii.gz", case.placed)
    write_placed_labels(folder / "keepout.nii.gz", case.placed_keepouts)
    implants = [
        {"ends_ras_mm": [[-x, -y, z] for x, y, z in (one.implant_entry_lps_mm, one.implant_tip_lps_mm)]}
        for entry in case.document.sides.values()
        for one in entry.candidates
    ]
    (folder / "report.html").write_text(f"<script id='scene'>{json.dumps({'implants': implants})}</script>", "utf-8")
    return folder


def test_every_format_is_read_back_within_the_limit(script, result):
    rows = {row.file: row.farthest_mm for row in script.read_back(result)}
    assert {
        "markups/*.mrk.json", "meshes/*.stl", "meshes/*.ply", "meshes/*.obj", "report.html", "labels.seg.nrrd",
        "keepout.seg.nrrd", "dicom/seg.dcm", "dicom/seg_keepout.dcm", "dicom/sr.dcm", "dicom/mesh_*.dcm",
    } == set(rows)  # fmt: skip
    assert max(rows.values()) <= script.LIMIT_MM


def test_a_point_that_moved_is_seen(script, result, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(result, moved)
    path = moved / "markups" / "left_implant_1.mrk.json"
    content = json.loads(path.read_text("utf-8"))
    content["markups"][0]["controlPoints"][1]["position"][0] += 0.5
    path.write_text(json.dumps(content), "utf-8")
    rows = {row.file: row.farthest_mm for row in script.read_back(moved)}
    assert rows["markups/*.mrk.json"] == pytest.approx(0.5)
    assert rows["dicom/sr.dcm"] <= script.LIMIT_MM


def test_labels_of_another_kind_or_number_are_lost(script, result):
    there = script._by_simpleitk(result / "labels.nii.gz")
    other = there._replace(values=np.where(there.values == 2, 3, there.values))
    assert script.misplaced(there, other) == float("inf")
    fewer = there._replace(values=np.where(there.values == 2, 0, there.values))
    assert script.misplaced(there, fewer) == float("inf")
    aside = there._replace(to_lps=lambda index: there.to_lps(index) + np.array([0.3, 0, 0]))
    assert script.misplaced(there, aside) == pytest.approx(0.3)


@pytest.mark.skipif(not (shutil.which("dciodvfy") and shutil.which("dcmdump")), reason="no dicom3tools or dcmtk")
def test_validators_find_no_error_and_find_one_that_was_made(script, result, tmp_path):
    verdicts = {one.objects: one for one in script.validate(result / "dicom")}
    assert verdicts["`seg_keepout.dcm`"].files == 1
    assert verdicts["`figure_*.dcm`"].files == 1
    assert all(one.dciodvfy_errors == one.dciodvfy_warnings == one.dcmtk_errors == 0 for one in verdicts.values())
    shutil.copy(result / "dicom" / "sr.dcm", tmp_path / "sr.dcm")
    body = (tmp_path / "sr.dcm").read_bytes()
    (tmp_path / "sr.dcm").write_bytes(body[: len(body) // 2])
    (broken,) = [one for one in script.validate(tmp_path) if one.files]
    assert broken.dciodvfy_errors + broken.dcmtk_errors > 0


def test_tables_go_between_their_marks(script, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- read back -->\n\nold\n\n<!-- end of read back -->\nafter\n", "utf-8")
    for _ in range(2):
        script.write_page(page, {"read back": "| new |"})
    assert page.read_text("utf-8") == "before\n<!-- read back -->\n\n| new |\n\n<!-- end of read back -->\nafter\n"


def test_the_page_holds_tables_without_an_error():
    """What is in the documentation now: every format, within the limit; no validator's error."""
    text = (ROOT / "docs" / "formats.md").read_text("utf-8")
    table = text.partition("<!-- read back -->\n\n")[2].partition("\n\n<!-- end of read back -->")[0]
    distances = [float(line.split("|")[4]) for line in table.splitlines()[2:]]
    assert len(distances) >= 12
    assert max(distances) <= 0.01
    table = text.partition("<!-- validated -->\n\n")[2].partition("\n\n<!-- end of validated -->")[0]
    counts = [line.split("|")[2:6] for line in table.splitlines()[2:]]
    assert len(counts) == 6
    assert all(int(files) >= 1 and errors.strip() == dcmtk.strip() == "0" for files, errors, _, dcmtk in counts)
