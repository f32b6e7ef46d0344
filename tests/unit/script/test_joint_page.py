"""The page of the joint counts findings as it says, and leaves out what was not measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import SimpleITK

from planner import NOTICE
from planner.findings import Finding, Level

SCRIPTS = Path(__file__).resolve().parents[3] / "script"
MODULES = (
    "joint_page", "joint_accuracy", "joint_scores", "findings_accuracy", "accuracy_page", "calibrate_confidence",
    "conditions", "made_cases", "sources",
)  # fmt: skip


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        yield SimpleNamespace(**{name: __import__(name) for name in MODULES})
    for name in MODULES:
        sys.modules.pop(name, None)


SIDE = {
    "mid_mm": 0.1, "mid_p95_mm": 0.2, "covered": 0.99, "gap_bias_mm": -0.05, "gap_mae_mm": 0.15, "area_share": 1.02,
    "zone_dice": 0.96, "thirds_mm": 1.1, "superior_mm": -0.5, "inferior_mm": 0.7, "width_mm": 1.2, "angle_deg": 2.0,
}  # fmt: skip


def write(folder: Path, name: str, result: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(result), encoding="utf-8")


def scan(scene: str, pelvis: str, expected: list, told: list, bridge: dict | None = None) -> dict:
    return {"scene": scene, "pelvis": pelvis, "expected": expected, "told": told, "bridge": bridge, "code": "x"}


def cells(page: str, start: str) -> list[str]:
    line = next(line for line in page.splitlines() if line.startswith(f"| {start} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_an_empty_folder_gives_a_page_without_tables(script, tmp_path):
    page = script.joint_page.joint_page(tmp_path)
    assert NOTICE in page
    assert "|" not in page


def test_the_worse_side_counts(script, tmp_path):
    row = script.joint_accuracy.ROWS[1]
    worse = SIDE | {"mid_mm": 0.3, "covered": 0.9, "gap_bias_mm": 0.2, "angle_deg": -7.0}
    landmarks = {"away_mm": {"left_psis": 0.4, "right_psis": 1.2}, "missed": ["left_piis"], "endplate_deg": 0.5,
                 "anterior_deg": float("nan")}  # fmt: skip
    write(tmp_path / "joint", row.name, {
        "row": {"spacing_mm": 1.0, "gap_mm": 1.7, "noise_hu": 20.0, "pose": "supine", "view": "joints"},
        "joint": {"left": SIDE, "right": worse}, "landmarks": landmarks, "frame": {"turned_deg": 0.1},
    })  # fmt: skip
    page = script.joint_page.joint_page(tmp_path)
    measured, places = (line for line in page.splitlines() if line.startswith("| 1 "))
    assert "| 0.30 | 0.20 | 0.90 | +0.20 |" in measured
    assert measured.endswith("| -7 |")
    assert places == "| 1 | 1.7 | 20 | supine | 1.2 | - / missed | - | - | - | - | - | 0.5 | - | 0.1 |"


def test_sensitivity_and_specificity_are_counted_by_side(script, tmp_path):
    folder = tmp_path / "findings"
    bridge = {"made_mm2": 200, "told_mm2": 100.0, "away_mm": 3.0}
    both = [["ankylosis", "left"], ["vacuum", "right"]]
    write(folder, "bridge-gas_G", scan("bridge-gas", "G", both, both, bridge))
    write(folder, "bridge-gas_H", scan("bridge-gas", "H", both, [["ankylosis", "right"]]))
    write(folder, "plain_G", scan("plain", "G", [], []))
    page = script.joint_page.joint_page(tmp_path)
    assert cells(page, "`ankylosis`") == ["`ankylosis`", "2", "1", "0.50", "4", "1", "0.75"]
    assert cells(page, "`vacuum`") == ["`vacuum`", "2", "1", "0.50", "4", "0", "1.00"]
    assert cells(page, "`widening`") == ["`widening`", "0", "0", "-", "6", "0", "1.00"]
    assert cells(page, "bridge-gas H")[1:] == ["ankylosis left, vacuum right", "ankylosis right"]
    assert "50%" in page.split("Of 1 bridges")[1]


def test_findings_of_the_pelvis_have_no_side(script, tmp_path):
    low = [["transitional-vertebra", "both"]]
    write(tmp_path / "findings", "wide-transitional_I",
          scan("wide-transitional", "I", low, [["transitional-vertebra", "right"]]))  # fmt: skip
    write(tmp_path / "findings", "cut_I",
          {"scene": "cut", "pelvis": "I", "expected": [], "refused": "no pelvis found", "code": "x"})  # fmt: skip
    page = script.joint_page.joint_page(tmp_path)
    assert cells(page, "`transitional-vertebra`")[1:4] == ["1", "1", "1.00"]
    assert "counted nowhere: cut I" in page


def test_every_row_and_scan_has_a_name_of_its_own(script):
    rows = [row.name for row in script.joint_accuracy.ROWS]
    scans = [(scene, pelvis.key) for scene, pelvis in script.findings_accuracy.scans()]
    assert len(set(rows)) == len(rows) > 20
    assert len(set(scans)) == len(scans) == 54
    assert {row.spacing_mm for row in script.joint_accuracy.ROWS} == {0.6, 1.0, 1.5, 2.0, 3.0}


def test_thresholds_were_settled_on_other_people_than_are_measured(script):
    tuned, measured = (
        {(script.conditions.BASES | script.conditions.FINDING_BASES)[pelvis.key] for pelvis in pelves}
        for pelves in (script.findings_accuracy.TUNED, script.findings_accuracy.PELVES)
    )
    assert len(tuned) == len(measured) == 6
    assert not tuned & measured


@pytest.mark.parametrize(("level", "counted"), [("warn", True), ("note", False)])
def test_low_density_counts_where_osteoporosis_is_likely(script, level, counted):
    assert script.findings_accuracy.counts(Finding("low-bone-density", Level(level), "both", "")) == counted
    assert script.findings_accuracy.counts(Finding("vacuum", Level(level), "left", ""))
    assert not script.findings_accuracy.counts(Finding("slice-spacing", Level(level), "both", ""))


def scored(folder: Path, slices_mm: float, **sides: tuple[float, float, float]) -> None:
    """Write a case that was scored: for each side mean, 95th percentile and share covered."""
    folder.mkdir(parents=True)
    image = SimpleITK.Image(2, 2, 2, SimpleITK.sitkUInt8)
    image.SetSpacing((0.9, 0.9, slices_mm))
    SimpleITK.WriteImage(image, str(folder / "ct.nii.gz"))
    names = ("mid_error_mm", "mid_error_p95_mm", "coverage_2mm")
    rows = {side: {"found": True} | dict(zip(names, values, strict=True)) for side, values in sides.items()}
    (folder / "result.json").write_text(json.dumps({"score": {"joint": rows}}), encoding="utf-8")


def test_joints_are_held_against_what_is_asked_for_by_their_slices(script, tmp_path):
    good = (0.1, 0.3, 1.0)
    scored(tmp_path / "thin_A", 0.9, left=good, right=(0.2, 0.9, 0.96))
    scored(tmp_path / "thin_B", 1.0, left=good, right=(0.2, 1.4, 0.96))
    scored(tmp_path / "thick_C", 3.0, left=(0.5, 0.9, 1.0))
    page = script.joint_page.joint_page(tmp_path)
    assert cells(page, "up to 1") == ["up to 1", "2", "4", "0.15 / 0.20", "0.60 / 1.40", "0.98 / 0.96", "3 of 4"]
    assert cells(page, "3")[1:3] + cells(page, "3")[-1:] == ["1", "1", "0 of 1"]
    assert cells(page, "thin_B") == ["thin_B", "1", "right", "0.20", "1.40", "0.96"]
    assert cells(page, "mid-surface")[-2:] == ["worst 0.20, 1.40, 96%; 3 of 4 joints", "**no**"]


@pytest.mark.parametrize(("error", "holds"), [(0.29, "yes"), (0.31, "**no**")])
def test_the_gap_is_held_against_what_is_asked_for_at_1_mm(script, tmp_path, error, holds):
    landmarks = {"away_mm": {}, "missed": [], "endplate_deg": 0.5, "anterior_deg": 0.5}
    for spacing, mae in ((1.0, error), (3.0, 0.9)):
        write(tmp_path / "joint", script.joint_accuracy.Row(spacing).name, {
            "row": {"spacing_mm": spacing, "gap_mm": 1.7, "noise_hu": 20.0, "pose": "supine", "view": "joints"},
            "joint": {"left": SIDE, "right": SIDE | {"gap_mae_mm": mae}}, "landmarks": landmarks,
            "frame": {"turned_deg": 0.1},
        })  # fmt: skip
    page = script.joint_page.joint_page(tmp_path)
    assert cells(page, "gap on phantoms")[-1] == holds
