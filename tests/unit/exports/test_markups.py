"""Markups hold the plan's points, to the bit, in the form that 3D Slicer's schema 1.0.3 asks for."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from planner import NOTICE
from planner.exports.markups import plan_markups, write_markups
from planner.plan import PlanDocument

from support.made_plan import made_document

NUMBERS = {
    "center": 3,
    "normal": 3,
    "size": 3,
    "planeBounds": 4,
    "objectToBase": 16,
    "baseToNode": 16,
    "orientation": 9,
}
"""Arrays of the schema and their lengths."""
TEXTS = {"name", "planeType", "sizeMode", "labelFormat"}
MARKUP_KEYS = {
    "type", "coordinateSystem", "coordinateUnits", "locked", "controlPoints", "display", "autoScalingSizeFactor",
    *NUMBERS, *TEXTS,
}  # fmt: skip
POINT_KEYS = {"id", "label", "position", "positionStatus", "locked"}
COLOURED = ("color", "selectedColor")
DISPLAY_KEYS = {"visibility", *COLOURED}
"""Keys that we write; the schema knows each of them."""

PUBLISHED = os.environ.get("SLICER_MARKUPS_SCHEMA", "")
"""A copy of ``Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json`` of Slicer's repository."""


@pytest.fixture(scope="module")
def document():
    return made_document()


@pytest.fixture(scope="module")
def files(document, tmp_path_factory):
    return write_markups(tmp_path_factory.mktemp("markups"), document)


def markup(path):
    (one,) = json.loads(path.read_text())["markups"]
    return one


def points(one):
    return {point["label"]: tuple(point["position"]) for point in one["controlPoints"]}


def test_every_file_is_of_the_schema(files):
    """The rules of markups-schema-v1.0.3.json, by hand: the schema itself is not ours to ship."""
    for path in files:
        content = json.loads(path.read_text())
        assert re.search(r"markups-schema-v1\.[0-9]+\.[0-9]+\.json#*$", content["@schema"])  # what Slicer looks for
        assert content["notice"] == NOTICE
        one = markup(path)
        assert set(one) <= MARKUP_KEYS
        assert set(one["display"]) == DISPLAY_KEYS
        assert all(isinstance(one["display"][key], list) and len(one["display"][key]) == 3 for key in COLOURED)
        assert all(isinstance(number, int | float) for key in set(one) & set(NUMBERS) for number in one[key])
        assert isinstance(one["locked"], bool)
        assert one["type"] in {"Fiducial", "Line", "Plane"}
        assert one["coordinateSystem"] == "LPS"
        assert one["coordinateUnits"] == "mm"
        assert {key: len(one[key]) for key in NUMBERS if key in one}.items() <= NUMBERS.items()
        assert all(isinstance(one[key], str) for key in TEXTS & set(one))
        assert all(0 <= share <= 1 for key in COLOURED for share in one["display"][key])
        for point in one["controlPoints"]:
            assert set(point) == POINT_KEYS
            assert len(point["position"]) == 3
            assert point["positionStatus"] == "defined"
            assert isinstance(point["id"], str)


@pytest.mark.skipif(not PUBLISHED, reason="SLICER_MARKUPS_SCHEMA names no copy of Slicer's published schema")
def test_slicers_published_schema_takes_every_file(files):
    rules = jsonschema.Draft7Validator(json.loads(Path(PUBLISHED).read_text("utf-8")))
    for path in files:
        content = json.loads(path.read_text("utf-8"))
        assert list(rules.iter_errors(content)) == []
        content["markups"][0]["controlPoints"][0]["position"].pop()
        assert list(rules.iter_errors(content))  # the rules are those of markups


def test_lines_are_implants_and_accesses(files, document):
    found = {path.name.removesuffix(".mrk.json"): points(markup(path)) for path in files}
    for side, entry in document.sides.items():
        first, second = entry.candidates
        for one in (first, second):
            ends = {"implant entry": one.implant_entry_lps_mm, "implant tip": one.implant_tip_lps_mm}
            assert found[f"{side}_implant_{one.rank}"] == ends
        access = {"skin entry": first.skin_entry_lps_mm, "implant entry": first.implant_entry_lps_mm}
        assert found[f"{side}_access_1"] == access
        assert f"{side}_access_2" not in found  # its skin is not in the scan


def test_points_are_mouths_witnesses_and_landmarks(files, document):
    found = {path.name.removesuffix(".mrk.json"): points(markup(path)) for path in files}
    for side, entry in document.sides.items():
        mouths = {f"{f.level} {f.aspect}": f.centre_lps_mm for f in entry.foramina}
        assert found[f"{side}_foramina"] == mouths
        witnesses = {c.at_lps_mm for c in entry.candidates[0].clearance.values()}
        assert set(found[f"{side}_witnesses_1"].values()) == witnesses
    assert found["landmarks"]["promontory"] == document.landmarks["promontory_lps_mm"]
    assert found["landmarks"]["right psis"] == document.sides["right"].landmarks["psis_lps_mm"]


def test_planes_lie_where_they_should(document):
    found = plan_markups(document)
    frame = document.pelvic_frame
    assert tuple(found["s1_endplate"]["center"]) == frame.s1_endplate.centre_lps_mm
    assert tuple(found["anterior_pelvic_plane"]["center"]) == frame.anterior_pelvic_plane.point_lps_mm
    planes = {name: one for name, one in found.items() if one["type"] == "Plane"}
    assert len(planes) == 2 + 2 * 2
    for one in planes.values():
        matrix = np.array(one["baseToNode"]).reshape(4, 4)
        assert matrix[:3, 3] == pytest.approx(one["center"])
        assert matrix[:3, 2] == pytest.approx(one["normal"])
        assert matrix[:3, :3] == pytest.approx(np.array(one["orientation"]).reshape(3, 3))
        assert matrix[:3, :3].T @ matrix[:3, :3] == pytest.approx(np.eye(3))
        assert np.linalg.det(matrix) == pytest.approx(1)
        assert points(one)["origin"] == tuple(one["center"])


@pytest.mark.parametrize(("name", "bound"), [("caudal", -610.0), ("cranial", -590.0)])
def test_the_middle_third_lies_between_its_planes(document, name, bound):
    plane = plan_markups(document)[f"left_middle_third_{name}"]
    assert plane["center"][2] == pytest.approx(bound)
    assert plane["normal"] == [0, 0, 1]


def test_a_plan_without_anything_has_no_markups(document):
    nothing = {"status": "not-planned", "reason": "This side was not asked for."}
    empty = PlanDocument(input=document.input, findings=[], sides={"left": nothing, "right": nothing})
    assert plan_markups(empty) == {}


def test_a_side_without_candidates_still_shows_its_thirds(document):
    left = document.sides["left"].model_copy(update={"candidates": [], "foramina": []})
    found = plan_markups(document.model_copy(update={"sides": {"left": left}}))
    centre = np.array(found["left_middle_third_caudal"]["center"])
    assert centre == pytest.approx([40.0, 60.125, -610.0])  # below the PSIS


def test_names_tell_what_is_what(files):
    assert markup(files[0])["name"] == files[0].name.removesuffix(".mrk.json").replace("_", " ")
    assert len({path.name for path in files}) == len(files) == 19
