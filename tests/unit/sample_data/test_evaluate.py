from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from planner import NOTICE
from planner.grid import Grid
from planner.labels import Label, Side
from planner.segmentation.confidence import FEATURES, Evidence, foretell
from planner.volume import LabelMap, Volume
from sample_data.made_ct import Surface
from sample_data.signed_distance import DistanceField

SCRIPTS = Path(__file__).resolve().parents[3] / "script"
MODULES = ("evaluate", "perturb", "accuracy_page", "calibrate_confidence", "conditions", "made_cases", "sources")


@pytest.fixture(scope="module")
def script() -> Iterator[SimpleNamespace]:
    """The modules of the folder script, which is no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        yield SimpleNamespace(**{name: __import__(name) for name in MODULES})
    for name in MODULES:
        sys.modules.pop(name, None)


def cloud(centre: tuple[float, float, float]) -> Surface:
    corners = np.array([[x, y, z] for x in (-30, 30) for y in (-30, 30) for z in (-60, 60)], float)
    return Surface(corners + centre, np.zeros((0, 3), np.int32))


@pytest.fixture
def anatomy() -> dict[Label, list[Surface]]:
    return {
        Label.SACRUM: [cloud((0, 60, 40))],
        Label.LEFT_HIP: [cloud((100, 0, 0))],
        Label.RIGHT_HIP: [cloud((-100, 0, 0))],
    }


def moved(anatomy: dict[Label, list[Surface]], matrix: np.ndarray) -> dict[Label, list[Surface]]:
    return {k: [Surface(p.vertices_lps @ matrix.T, p.faces) for p in parts] for k, parts in anatomy.items()}


def test_a_sound_anatomy_passes(script: SimpleNamespace, anatomy: dict[Label, list[Surface]]) -> None:
    assert script.sources.checked(anatomy) is anatomy


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        ((-1, 1, 1), "wrong sides"),
        ((1, -1, 1), "not behind"),
        ((1, 1, -1), "not behind"),
        ((1e-3, 1e-3, 1e-3), "mm wide"),
    ],
)
def test_a_mirrored_turned_or_shrunken_anatomy_is_refused(
    script: SimpleNamespace, anatomy: dict[Label, list[Surface]], scale: tuple[float, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        script.sources.checked(moved(anatomy, np.diag(scale)))


def test_gltf_axes_become_lps(script: SimpleNamespace) -> None:
    """In glTF the figure's left is +x, its head +y, its front +z, in metres."""
    matrix = script.sources.LPS_FROM_GLTF_MM
    assert (np.eye(3) @ matrix.T).tolist() == [[1000, 0, 0], [0, 0, 1000], [0, -1000, 0]]
    assert np.linalg.det(matrix) > 0


def ball(label_centre: tuple[float, float, float], radius: float = 20.0) -> DistanceField:
    grid = Grid.from_spacing((51, 51, 51), 1.0, np.array(label_centre) - 25.0)
    away = np.linalg.norm(grid.to_lps(np.stack(np.indices(grid.shape_zyx), axis=-1)) - label_centre, axis=-1)
    return DistanceField((away - radius).astype(np.float32), grid.origin_lps_mm, 1.0)


@pytest.mark.parametrize("position", ["supine", "prone", "feet-first", "decubitus"])
@pytest.mark.parametrize("turn_deg", [(0.0, 0.0, 0.0), (30.0, 0.0, -20.0)])
def test_the_scan_holds_the_bones_however_the_patient_lies(
    script: SimpleNamespace, position: str, turn_deg: tuple[float, float, float]
) -> None:
    condition = script.conditions.Condition("x", "y", "M", position=position, turn=turn_deg, view="pelvis")
    bones = {Label.SACRUM: ball((0.0, 10.0, 5.0)), Label.LEFT_HIP: ball((60.0, 0.0, 0.0))}
    turn = script.made_cases.Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()
    centre = np.array([0.0, 10.0, 5.0])
    grid = script.made_cases.scan_grid(condition, bones, centre, turn)
    assert grid.spacing_zyx_mm == pytest.approx(condition.spacing)
    assert np.linalg.det(grid.lps_from_zyx[:3, :3]) == pytest.approx(-np.prod(condition.spacing))
    for field in bones.values():
        middle = field.origin_mm + 25.0
        assert grid.contains((middle - centre) @ turn.T + centre, margin_mm=20.0)


def test_every_case_has_its_own_name_and_a_known_pelvis(script: SimpleNamespace) -> None:
    cases = script.conditions.cases()
    assert len({case.name for case in cases}) == len(cases) >= 60
    assert {case.base for case in cases} == set(script.conditions.BASES)
    assert all(case.condition.view in script.made_cases.VIEWS for case in cases)
    assert all(case.condition.look in script.made_cases.LOOKS for case in cases)
    assert all(case.condition.position in script.made_cases.DIRECTIONS for case in cases)


def test_pelves_of_the_atlas_are_planned_without_themselves(script: SimpleNamespace) -> None:
    setup = script.evaluate.Setup(Path("o"), Path("d"), Path("s"), None, "c", False)
    models = {case.source: setup.model_for(case) for case in script.conditions.cases()}
    assert models.pop("jhu").parent.name == ".models"
    assert set(models.values()) == {None}
    given = replace(setup, model=Path("m.npz"))
    assert {given.model_for(case) for case in script.conditions.cases()} == {Path("m.npz")}


def test_a_result_of_the_same_code_is_not_reached_again(script: SimpleNamespace, tmp_path: Path) -> None:
    case = script.conditions.cases()[0]
    facts = {"condition": json.loads(json.dumps(asdict(case.condition))), "base": case.base, "source": case.source}
    (tmp_path / case.name).mkdir()
    kept = {"code": "c", "facts": facts, "name": case.name}
    (tmp_path / case.name / "result.json").write_text(json.dumps(kept))
    setup = script.evaluate.Setup(tmp_path, tmp_path, tmp_path, None, "c", False)
    assert script.evaluate.evaluate(setup, case) == kept


def test_keep_outs_come_to_the_scans_grid_and_leave_bone_alone(script: SimpleNamespace) -> None:
    field = np.zeros((20, 20, 20), np.uint8)
    field[5:15, 5:15, 5:15] = 11
    sacrum = DistanceField(np.zeros(field.shape, np.float32), np.array([10.0, 20.0, 30.0]), 1.0)
    grid = Grid.from_spacing((30, 40, 50), 1.5)
    bone = np.zeros(grid.shape_zyx, np.uint8)
    bone[:, :, :13] = 1
    keep = script.made_cases.keepout_on(field, sacrum, grid, LabelMap(bone, grid)).values
    at = grid.to_lps(np.argwhere(keep == 11))
    assert at.min(axis=0).tolist() == [19.5, 25.5, 36.0]
    assert at.max(axis=0).tolist() == [24.0, 34.5, 43.5]
    assert set(np.unique(keep)) == {0, 11}


EVIDENCE = Evidence(0.02, 0.5, 2.0, 0.1, 1.0, 1.0)


def scored(script: SimpleNamespace, name: str, base: str, error_mm: float, evidence: Evidence) -> dict[str, Any]:
    condition = json.loads(json.dumps(asdict(script.conditions.CONDITIONS[0])))
    bone = {"dice": 0.95, "assd_mm": 0.4, "assd_si_zone_mm": error_mm / 3, "hd95_si_zone_mm": error_mm}
    plan = {
        "status": "planned", "true_neural_mm": 6.5, "claim_broken": False, "safe": True, "right_side": True,
        "outside_solid_mm": -1.0, "middle_third": True,
    }  # fmt: skip
    return {
        "name": name,
        "facts": {"condition": condition, "base": base, "source": script.conditions.BASES[base][0]},
        "code": "c",
        "refused": False,
        "message": "",
        "findings": [],
        "evidence": {"sacrum left": asdict(evidence)},
        "score": {
            "bones": {"sacrum": bone, "sides_swapped": False},
            "joint": {"left": {"found": False}},
            "plan": {"left": plan},
        },
        "extra": {"invented_ml": {"hip_left": 1.25}, "decoys_labelled_ml": {"calcification": 0.03}},
    }


def many(script: SimpleNamespace) -> list[dict[str, Any]]:
    """Cases whose error grows with the evidence against them, on three pelves."""
    return [
        scored(
            script, f"{base}{n}", base, 0.4 * (n + 1), replace(EVIDENCE, unsupported=0.1 * n, voxel_mm=0.5 + 0.3 * n)
        )
        for base in "MFA"
        for n in range(8)
    ]


def test_the_page_counts_what_is_bad_and_broken(script: SimpleNamespace) -> None:
    results = many(script)
    results[0]["score"]["plan"]["left"]["safe"] = False
    results[1]["score"]["plan"]["left"]["middle_third"] = False
    page = script.accuracy_page.accuracy_page(results)
    assert NOTICE in page
    assert "| thin slices | thin |" in page
    assert "| 9 of 24 | 1 of 24 | 1 | 0 | 24 of 24 |" in page
    assert "calcification 0.03, missing hip left 1.25" in page
    assert "BROKEN" in page


def test_false_confidence_is_told_with_the_cases_name(script: SimpleNamespace) -> None:
    results = many(script)
    results[0]["score"]["bones"]["sacrum"]["hd95_si_zone_mm"] = 9.0
    text = script.accuracy_page.false_confidence(results)
    assert "M0 sacrum (9.0 mm" in text
    assert "of these 10 claim to be good" in text


def test_coefficients_grow_with_the_evidence_and_are_judged_on_others(script: SimpleNamespace) -> None:
    rows = list(script.calibrate_confidence.outlines(many(script)))
    table = script.calibrate_confidence.fit(rows)
    assert set(table["weights"]) == set(FEATURES)
    assert min(table["weights"].values()) >= 0.0
    assert foretell(rows[7].faces[0], table).error_mm > foretell(rows[0].faces[0], table).error_mm
    worse = [replace(row, error_mm=50.0) if row.base == "M" else row for row in rows]
    judged = dict(zip(("rows", "worse"), ([c for r, c in script.calibrate_confidence.left_out(w, w) if r.base == "M"]
                                          for w in (rows, worse)), strict=True))  # fmt: skip
    assert judged["rows"] == judged["worse"]


def test_a_refusal_is_an_answer_only_where_it_may_be(script: SimpleNamespace) -> None:
    result = many(script)[0] | {"refused": True}
    assert not script.accuracy_page.met(result)
    result["facts"]["condition"]["may_refuse"] = True
    assert script.accuracy_page.met(result)
    flagged = many(script)[0]
    flagged["facts"]["condition"]["flags"] = ["metal"]
    assert not script.accuracy_page.met(flagged)
    assert script.accuracy_page.met(flagged | {"findings": ["metal:warn:both"]})


@pytest.mark.shared
def test_the_sources_lie_the_right_way_round(script: SimpleNamespace, shared: Path) -> None:
    assert set(script.sources.read_jhu(shared, "0")) == {Label.SACRUM, Label.LEFT_HIP, Label.RIGHT_HIP}
    pytest.importorskip("trimesh")
    parts = script.sources.read_hubmap(shared, "M")
    assert [len(parts[label]) for label in (Label.SACRUM, Label.LEFT_HIP, Label.RIGHT_HIP)] == [2, 3, 3]


def test_labels_are_moved_by_millimetres_in_patient_space(script: SimpleNamespace) -> None:
    grid = Grid.from_spacing((20, 20, 20), (2.0, 1.0, 0.5))
    values = np.zeros(grid.shape_zyx, np.uint8)
    values[8:12, 8:12, 8:12] = 2
    moved = script.perturb.moved(LabelMap(values, grid), np.array([1.5, -2.0, 4.0]))
    before, after = (grid.to_lps(np.argwhere(v == 2)).mean(axis=0) for v in (values, moved.values))
    assert after - before == pytest.approx([1.5, -2.0, 4.0])


def test_a_wrong_start_is_as_far_off_as_it_says_and_the_same_for_the_same_name(script: SimpleNamespace) -> None:
    fit = SimpleNamespace(lps_from_model=np.diag([1.1, 1.1, 1.1, 1.0]))
    poses = [script.perturb.wrong_start(fit, seed).lps_from_model for seed in (1, 2, 1)]
    for matrix, (far_mm, turn_deg) in zip(poses[:2], script.perturb.STARTS_MM_DEG[1:], strict=True):
        assert np.linalg.norm(matrix[:3, 3]) == pytest.approx(far_mm)
        assert (np.trace(matrix[:3, :3]) / 1.1 - 1) / 2 == pytest.approx(np.cos(np.deg2rad(turn_deg)))
    np.testing.assert_array_equal(poses[0], poses[2])


@pytest.mark.parametrize("off", [0, 3])
def test_the_error_of_a_face_is_how_far_it_was_moved(script: SimpleNamespace, off: int) -> None:
    grid = Grid.from_spacing((24, 24, 24), 1.0)
    true = np.zeros(grid.shape_zyx, np.uint8)
    true[:, :, :8], true[:, :, 12:] = Label.SACRUM, Label.LEFT_HIP
    found = np.where(np.arange(24) < 8 - off, true, np.where(true == Label.SACRUM, 0, true)).astype(np.uint8)
    volume = Volume(np.zeros(grid.shape_zyx, np.int16), grid)
    box = (slice(0, 24), slice(0, 24), slice(0, 24))
    maps = [LabelMap(v, grid) for v in (found, true)]
    error = script.perturb.face_error(volume, *maps, Label.SACRUM, Side.LEFT, box)
    assert error == pytest.approx(off, abs=0.6)
