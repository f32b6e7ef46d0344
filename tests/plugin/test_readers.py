"""The plugin's readers give layers that lie where the patient lies; they need neither napari nor Qt."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import napari_sacroplan
from napari_sacroplan.readers import get_reader, read_ct, read_result
from planner.exports.surfaces import implant_surface
from planner.grid import Grid
from planner.images import write_labels, write_volume
from planner.joint import write_joint_ply
from planner.joint.model import Joint, Thirds
from planner.labels import Side
from planner.volume import LabelMap

GRID = Grid.from_spacing((4, 5, 6), (3.0, 1.0, 0.5), (-10.0, 20.0, 300.0))
ENTRY, TIP = [-9.0, 23.0, 303.0], [-8.0, 21.0, 303.0]


def joint():
    return Joint(
        side=Side.LEFT,
        vertices_lps=np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 10.0]]),
        faces=np.array([[0, 1, 2]], np.int32),
        gap_mm=np.array([1.0, 2.0, 3.0], np.float32),
        zone=np.ones(3, np.uint8),
        third=np.ones(3, np.uint8),
        thirds=Thirds("brandt-transverse", np.array([0.0, 0.0, 1.0]), np.arange(4.0), True),
        articular_area_mm2=1.0,
        gap_median_mm=2.0,
        gap_p95_mm=3.0,
        truncated=False,
    )


@pytest.fixture
def result(tmp_path):
    values = np.zeros(GRID.shape_zyx, np.uint8)
    values[1, 2, 3] = 1
    for name in ("labels", "keepout"):
        write_labels(tmp_path / f"{name}.nii.gz", LabelMap(values, GRID))
    write_joint_ply(tmp_path / "joint_left.ply", joint())
    implant = {"id": "GENERIC-DOWEL", "diameter_mm": 8.0, "length_mm": 2.2}
    candidate = {"grade": "amber", "implant": implant, "implant_entry_lps_mm": ENTRY, "implant_tip_lps_mm": TIP}
    sides = {
        "left": {"status": "planned", "candidates": [candidate, candidate]},
        "right": {"status": "no-safe-path", "candidates": []},
    }
    (tmp_path / "plan.json").write_text(json.dumps({"sides": sides}))
    return tmp_path


def layers(result):
    return {facts["name"]: (data, facts, kind) for data, facts, kind in read_result(str(result))}


def test_result_folder_and_its_plan_open_alike(result):
    assert get_reader(str(result)) is read_result
    assert get_reader(str(result / "plan.json")) is read_result
    assert len(read_result(str(result / "plan.json"))) == len(read_result(str(result))) == 4


def test_ct_folders_and_files_are_ours_and_other_files_are_not(tmp_path):
    assert get_reader(str(tmp_path)) is read_ct
    assert get_reader(str(tmp_path / "ct.nii.gz")) is read_ct
    assert get_reader(str(tmp_path / "notes.txt")) is None
    assert get_reader([str(tmp_path)]) is None


def test_a_voxel_lies_where_it_lies_in_the_patient(result):
    _, facts, kind = layers(result)["bones"]
    assert kind == "labels"
    world = facts["affine"] @ [1, 2, 3, 1]
    assert np.allclose(world[:3], GRID.to_lps((1, 2, 3))[::-1], atol=1e-4)


def test_joint_is_coloured_by_its_gap(result):
    (points, faces, gap), _, kind = layers(result)["left joint, gap in mm"]
    assert kind == "surface"
    assert points.tolist() == [[3.0, 2.0, 1.0], [6.0, 5.0, 4.0], [10.0, 8.0, 7.0]]
    assert faces.tolist() == [[0, 1, 2]]
    assert gap.tolist() == [1.0, 2.0, 3.0]


def test_only_the_best_implant_of_a_side_is_drawn_with_its_grade_in_words(result):
    implants = [name for name in layers(result) if "implant" in name]
    assert implants == ["left implant, amber (orange), planned"]
    (points, _), _, _ = layers(result)[implants[0]]
    assert np.allclose(points[-2:], [ENTRY[::-1], TIP[::-1]])


def test_cylinder_is_closed_outward_and_of_its_volume():
    entry, tip = np.array([1.0, 2.0, 3.0]), np.array([5.0, -4.0, 9.0])
    surface = implant_surface(entry, tip, 8.0)
    vertices, faces = surface.vertices_lps.astype(float), surface.faces
    a, b, c = (vertices[faces[:, i]] - entry for i in range(3))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6
    assert volume == pytest.approx(np.pi * 16 * np.linalg.norm(tip - entry), rel=0.005)
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()


def test_ct_is_one_image_in_hounsfield_units(tmp_path, phantom):
    write_volume(tmp_path / "ct.nii.gz", phantom.volume)
    ((data, facts, kind),) = read_ct(str(tmp_path / "ct.nii.gz"))
    assert kind == "image"
    assert np.array_equal(data, phantom.volume.hu)
    assert facts["metadata"]["notice"].startswith("Research use only")


OPEN_BY_MANIFEST = """
import sys
from npe2 import PluginManifest
from npe2.manifest.utils import import_python_name
manifest = PluginManifest.from_file(sys.argv[1])
assert manifest.name == "sacroplan"  # the distribution's name: napari leaves out a plugin whose manifest has another
commands = {command.id: command for command in manifest.contributions.commands}
(reader,) = manifest.contributions.readers
for part in ("readers", "writers", "sample_data", "widgets"):
    for contribution in getattr(manifest.contributions, part):
        assert contribution.command in commands, contribution.command
for command in commands.values():
    if not command.python_name.startswith("napari_sacroplan.window"):  # needs Qt
        assert callable(import_python_name(command.python_name)), command.id
print(import_python_name(commands[reader.command].python_name)(sys.argv[2]).__name__)
"""


def test_manifest_is_valid_and_opens_a_result(result):
    # in its own process: importing npe2 warns of pydantic's future, and here warnings are errors
    manifest = Path(napari_sacroplan.__file__).with_name("napari.yaml")
    command = [sys.executable, "-W", "ignore", "-c", OPEN_BY_MANIFEST, str(manifest), str(result)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "read_result"


def test_reading_needs_no_qt():
    code = "import sys, napari_sacroplan; print([m for m in ('napari', 'qtpy', 'PySide6') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"
