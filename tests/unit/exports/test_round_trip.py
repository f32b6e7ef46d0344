"""Each format is read back by a program that is not ours, and holds the points of ``plan.json`` within 0.01 mm.

`docs/formats.md` holds the table of what is measured here.
"""

from __future__ import annotations

import json
from itertools import pairwise

import highdicom
import numpy as np
import pytest
import SimpleITK
import trimesh
from pydicom import dcmread

from planner.exports import ExportConfig, write_exports
from planner.images import write_placed_labels
from planner.joint import read_joint_ply, write_joint_ply
from planner.joint.model import Joint, Thirds
from planner.labels import Side
from planner.plan import PlanDocument

from support.made_plan import GRIDS, bones, keepouts, made_case

TOLERANCE_MM = 0.01


@pytest.fixture(scope="module", params=["axial, prone", "oblique"])
def exported(request, tmp_path_factory):
    """A case on an awkward grid, and its result folder."""
    folder = tmp_path_factory.mktemp("case")
    case = made_case(GRIDS[request.param], folder / "ct")
    write_exports(case, folder, ExportConfig(meshes=("stl", "ply", "obj")))
    (folder / "plan.json").write_text(case.document.to_json(), "utf-8")
    write_placed_labels(folder / "labels.nii.gz", case.placed)
    write_placed_labels(folder / "keepout.nii.gz", case.placed_keepouts)
    return case, folder


def plan_points(document):
    """Entries, tips, skin entries, witnesses and mouths."""
    found = []
    for entry in document.sides.values():
        found += [foramen.centre_lps_mm for foramen in entry.foramina]
        for one in entry.candidates:
            found += [one.implant_entry_lps_mm, one.implant_tip_lps_mm, one.skin_entry_lps_mm]
            found += [clearance.at_lps_mm for clearance in one.clearance.values()]
    return np.array([point for point in found if point is not None])


def farthest(points, among):
    """Largest distance of a point to the nearest of others, mm."""
    return np.linalg.norm(np.asarray(points)[:, None] - np.asarray(among)[None], axis=-1).min(axis=1).max()


def sr_points(path):
    found = []
    for item in dcmread(path).iterall():
        if item.keyword == "GraphicData":
            found += np.reshape(item.value, (-1, 3)).tolist()
    return np.array(found)


def markup_points(folder):
    found = []
    for path in folder.glob("*.mrk.json"):
        (one,) = json.loads(path.read_text())["markups"]
        assert one["coordinateSystem"] == "LPS"
        found += [point["position"] for point in one["controlPoints"]]
    return np.array(found)


def test_plan_json_is_exact(exported):
    case, folder = exported
    again = PlanDocument.model_validate_json((folder / "plan.json").read_text("utf-8"))
    assert np.array_equal(plan_points(again), plan_points(case.document))


def test_markups_hold_every_point(exported):
    case, folder = exported
    assert farthest(plan_points(case.document), markup_points(folder / "markups")) <= TOLERANCE_MM


def test_the_structured_report_holds_every_point_and_no_other(exported):
    case, folder = exported
    found = sr_points(folder / "dicom" / "sr.dcm")
    assert farthest(plan_points(case.document), found) <= TOLERANCE_MM
    assert farthest(found, plan_points(case.document)) <= TOLERANCE_MM


def test_each_point_of_the_report_is_where_its_measurement_was_taken(exported):
    case, folder = exported
    report = highdicom.sr.srread(folder / "dicom" / "sr.dcm")
    groups = {group.tracking_identifier: group for group in report.content.get_image_measurement_groups()}
    for side, entry in case.document.sides.items():
        for one in entry.candidates:
            found = {}
            for measured in groups[f"{side} implant, candidate {one.rank}"].get_measurements():
                for source in measured[0].get("ContentSequence", []):
                    found[measured.name.meaning] = np.reshape(source.GraphicData, (-1, 3))
            entry_lps, tip_lps = one.implant_entry_lps_mm, one.implant_tip_lps_mm
            assert found["Length"] == pytest.approx(np.array([entry_lps, tip_lps]), abs=TOLERANCE_MM)
            assert found["Safe entry radius"] == pytest.approx(np.array([entry_lps]), abs=TOLERANCE_MM)
            assert found["Depth from bone"] == pytest.approx(np.array([tip_lps]), abs=TOLERANCE_MM)
            witness = one.clearance["neural"].at_lps_mm
            assert found["Clearance, neural"] == pytest.approx(np.array([witness]), abs=TOLERANCE_MM)


@pytest.mark.parametrize("kind", ["stl", "ply", "obj"])
def test_surfaces_of_implants_end_at_entry_and_tip(exported, kind):
    case, folder = exported
    for side, entry in case.document.sides.items():
        for one in entry.candidates:
            mesh = trimesh.load(folder / "meshes" / f"implant_{side}_{one.rank}.{kind}", process=False)
            ends = [one.implant_entry_lps_mm, one.implant_tip_lps_mm]
            assert farthest(ends, mesh.vertices) <= TOLERANCE_MM


def test_surfaces_are_the_same_in_every_format(exported):
    _, folder = exported
    for path in (folder / "meshes").glob("*.stl"):
        meshes = [trimesh.load(path.with_suffix(f".{kind}"), process=False) for kind in ("stl", "ply", "obj")]
        corners = [np.asarray(mesh.vertices)[np.asarray(mesh.faces)] for mesh in meshes]
        assert all(np.abs(one - other).max() <= TOLERANCE_MM for one, other in pairwise(corners))


def test_surfaces_inside_dicom_are_those_beside_it(exported):
    _, folder = exported
    for path in (folder / "dicom").glob("mesh_*.dcm"):
        one = dcmread(path)
        stl = folder / "meshes" / f"{path.stem.removeprefix('mesh_')}.stl"
        assert one.EncapsulatedDocument[: one.EncapsulatedDocumentLength] == stl.read_bytes()


@pytest.mark.parametrize("name", ["labels.nii.gz", "labels.seg.nrrd", "keepout.nii.gz", "keepout.seg.nrrd"])
def test_labels_are_where_they_were(exported, name):
    """Every labelled voxel's centre, by SimpleITK, whatever the order of axes in the file."""
    case, folder = exported
    image = SimpleITK.ReadImage(str(folder / name))
    values = SimpleITK.GetArrayFromImage(image)
    truth = (bones if name.startswith("labels") else keepouts)(case.placed.grid)
    drawn = np.argwhere(values)
    points = np.array([image.TransformIndexToPhysicalPoint([int(v) for v in index[::-1]]) for index in drawn])
    index = truth.grid.to_index(points)
    away = np.linalg.norm((index - np.rint(index)) * truth.grid.spacing_zyx_mm, axis=1)
    assert away.max() <= TOLERANCE_MM
    assert np.array_equal(truth.values[tuple(np.rint(index).astype(int).T)], values[tuple(drawn.T)])
    assert len(drawn) == np.count_nonzero(truth.values)


@pytest.mark.parametrize(("name", "made"), [("seg", bones), ("seg_keepout", keepouts)])
def test_labels_in_dicom_are_where_they_were(exported, name, made):
    case, folder = exported
    seg = highdicom.seg.segread(folder / "dicom" / f"{name}.dcm")
    volume = seg.get_volume(combine_segments=True, relabel=False)
    truth = made(case.placed.grid)
    points = volume.map_indices_to_reference(np.argwhere(volume.array))
    labelled = truth.grid.to_lps(np.argwhere(truth.values))
    assert farthest(points, labelled) <= TOLERANCE_MM
    assert len(points) == len(labelled)


def test_joint_surfaces_come_back(tmp_path):
    rng = np.random.default_rng(4)
    vertices = rng.normal(0, 300, (30, 3))
    faces = rng.integers(0, 30, (20, 3)).astype(np.int32)
    thirds = Thirds("brandt-transverse", np.array([0.0, 0.0, 1.0]), np.arange(4.0), True)
    ones = np.ones(30, np.uint8)
    joint = Joint(Side.LEFT, vertices, faces, ones.astype(np.float32), ones, ones, thirds, 1.0, 1.0, 1.0, False)
    write_joint_ply(tmp_path / "joint_left.ply", joint)
    ours, _ = read_joint_ply(tmp_path / "joint_left.ply")
    theirs = trimesh.load(tmp_path / "joint_left.ply", process=False)
    assert np.stack([ours[axis] for axis in "xyz"], axis=1) == pytest.approx(vertices)
    assert np.asarray(theirs.vertices) == pytest.approx(vertices, abs=TOLERANCE_MM)
