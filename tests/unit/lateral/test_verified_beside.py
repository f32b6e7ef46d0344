"""Rods and needles as written pass the verification, and every tampering with them is caught."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from planner.verify import verify_folder

from support.beside_slabs import Beside, write_beside

Plan = dict[str, Any]
Tamper = Callable[[Plan], None]


@pytest.fixture(scope="module")
def clean(beside: Beside, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("beside") / "result"
    write_beside(folder, beside)
    return folder


def failed(folder: Path) -> set[str]:
    return {check.name for check in verify_folder(folder).failed}


def test_rods_and_needle_as_written_pass(clean: Path) -> None:
    verification = verify_folder(clean)
    assert verification.failed == ()
    names = {check.name for check in verification.checks}
    assert {"rod-size", "across-joint", "contained", "spacing", "needle-free", "needle-between"} <= names


def rod(plan: Plan, number: int = 2) -> Plan:
    found: Plan = plan["sides"]["left"]["lateral"]["rods"][number - 1]
    return found


def needle(plan: Plan) -> Plan:
    found: Plan = plan["sides"]["left"]["injection"]
    return found


def shift(claims: Plan, keys: tuple[str, ...], millimetres: tuple[float, float, float]) -> None:
    for key in keys:
        claims[key] = (np.array(claims[key]) + millimetres).tolist()


ROD_ENDS = ("implant_entry_lps_mm", "implant_tip_lps_mm", "crossing_lps_mm")
NEEDLE_ENDS = ("skin_entry_lps_mm", "edge_lps_mm", "tip_lps_mm")


def better(claims: Plan, name: str, key: str = "mm") -> None:
    claims["clearance"][name][key] += 0.5


TAMPERED: dict[str, tuple[Tamper, set[str]]] = {
    "a rod moved up": (lambda p: shift(rod(p), ROD_ENDS, (0, 0, 4)), {"neural", "spacing"}),
    "a rod pushed in": (lambda p: shift(rod(p), ROD_ENDS, (-6, 0, 0)), {"neural", "proud"}),
    "a rod moved out in front": (lambda p: shift(rod(p), ROD_ENDS, (0, -18, 0)), {"contained"}),
    "a rod on the other side": (
        lambda p: rod(p).update({key: [-rod(p)[key][0], *rod(p)[key][1:]] for key in ROD_ENDS}),
        {"well-formed"},  # its section is not square to it any more
    ),
    "rods pulled back into the ilium": (lambda p: shift(rod(p), ROD_ENDS, (18, 7, 0)), {"across-joint"}),
    "a rod turned": (lambda p: shift(rod(p), ("implant_tip_lps_mm",), (0, 3, 0)), {"well-formed"}),
    "a rod said to be longer": (lambda p: rod(p)["implant"].update(length_mm=70.0), {"rod-size"}),
    "a rod said to be thinner": (lambda p: rod(p)["implant"].update(diameter_mm=4.0), {"rod-section"}),
    "more neural clearance": (lambda p: better(rod(p), "neural"), {"neural"}),
    "more proven": (lambda p: better(rod(p), "neural", "proven_mm"), {"proof"}),
    "more room to the ventral cortex": (lambda p: better(rod(p), "ventral_cortex"), {"ventral-cortex"}),
    "more room to the notch": (lambda p: better(rod(p), "sciatic_notch"), {"sciatic-notch"}),
    "more length in the sacrum": (lambda p: rod(p).update(in_sacrum_mm=30.0), {"in-sacrum"}),
    "less bone removed": (
        lambda p: rod(p)["bone_removed_mm3"].update(sacrum=100.0),
        {"bone-removed", "bone-removed-sum"},
    ),
    "less bone removed in all": (
        lambda p: p["sides"]["left"]["lateral"]["bone_removed_mm3"].update(hip=10.0),
        {"bone-removed-sum"},
    ),
    "wider spacing": (lambda p: p["sides"]["left"]["lateral"].update(spacing_mm=[30.0, 30.0]), {"spacing"}),
    "another CPT class": (lambda p: p["sides"]["left"]["lateral"].update(cpt=""), {"cpt"}),
    "another view": (lambda p: p["sides"]["left"]["lateral"]["c_arm"].update(orbital_deg=0.0), {"angles"}),
    "a rod left out": (lambda p: p["sides"]["left"]["lateral"]["rods"].pop(0), {"rod-numbers", "spacing"}),
    "no rods but a plan": (lambda p: p["sides"]["left"]["lateral"]["rods"].clear(), {"rods"}),
    "rods' skin elsewhere": (
        lambda p: rod(p).update(skin_entry_lps_mm=[90, 40, 0], depth_from_skin_mm=70.0),
        {"skin"},
    ),
    "a section askew": (lambda p: rod(p)["section"].update(across_lps=[[1, 0, 0], [0, 1, 0]]), {"well-formed"}),
    "a needle moved aside": (lambda p: shift(needle(p), NEEDLE_ENDS, (8, 0, 0)), {"needle-free", "needle-tip"}),
    "a needle moved down": (lambda p: shift(needle(p), NEEDLE_ENDS, (0, 0, 30)), {"needle-third"}),
    "a needle said to be freer": (lambda p: better(needle(p), "bone"), {"needle-free"}),
    "a needle said to be farther": (lambda p: better(needle(p), "neural"), {"neural"}),
    "a needle pushed on": (lambda p: shift(needle(p), ("tip_lps_mm",), (3, -9, 0)), {"needle-depth"}),
    "another entry": (lambda p: needle(p).update(entry="superior"), {"needle-third"}),
    "a needle's other tilt": (lambda p: needle(p)["angles_deg"].update(cranial_tilt=20.0), {"angles"}),
    "a needle without a tip": (lambda p: needle(p).update(tip_lps_mm=None), {"needle"}),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_is_caught(clean: Path, tmp_path: Path, name: str) -> None:
    tamper, expected = TAMPERED[name]
    folder = Path(shutil.copytree(clean, tmp_path / "result"))
    plan = json.loads((folder / "plan.json").read_text())
    plan["sides"]["right"].update(candidates=[], status="not-planned", reason="left out", lateral=None, injection=None)
    plan["sides"]["left"].update(candidates=[], status="not-planned", reason="left out")
    tamper(plan)
    (folder / "plan.json").write_text(json.dumps(plan))
    assert expected <= failed(folder)


def test_a_plan_without_rods_or_needle_has_no_such_checks(clean: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(clean, tmp_path / "result"))
    plan = json.loads((folder / "plan.json").read_text())
    for entry in plan["sides"].values():
        del entry["lateral"], entry["injection"]
    (folder / "plan.json").write_text(json.dumps(plan))
    names = {check.name for check in verify_folder(folder).checks}
    assert not {"rods", "needle"} & names
