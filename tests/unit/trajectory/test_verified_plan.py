"""What the planner proposes passes the verification, and every tampering with it is caught."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from scipy import ndimage as ndi

from planner.joint.ply import write_joint_ply
from planner.labels import Side
from planner.source import ArraySource
from planner.verify import verify_folder

from support.planned_files import write_plan
from support.planned_slabs import Planned

Plan = dict[str, Any]


@pytest.fixture(scope="module")
def clean(planned: Planned, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify") / "result"
    write_plan(folder, planned)
    return folder


@pytest.fixture
def folder(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "result"))


def failed(folder: Path, scan: Any = None) -> set[str]:
    verification = verify_folder(folder, scan)
    assert verification.passed is not bool(verification.failed)
    return {check.name for check in verification.failed}


def test_a_plan_as_written_passes_every_check(clean: Path, planned: Planned) -> None:
    verification = verify_folder(clean, ArraySource(planned.volume))
    assert [check for check in verification.checks if not check.passed] == []
    assert verification.unchecked == ()
    assert {check.side for check in verification.checks} == {"both", "left", "right"}
    assert len(verification.checks) > 60


def test_what_no_file_speaks_of_is_told_and_does_not_fail(folder: Path) -> None:
    for side in Side:
        (folder / f"joint_{side}.ply").unlink()
    verification = verify_folder(shortened(folder))
    assert verification.passed
    assert [(check.name, check.side) for check in verification.unchecked] == [("placement", "left"), ("hu", "both")]
    assert all(check.message.startswith("not checked: ") for check in verification.unchecked)


def shortened(folder: Path, side: str = "left") -> Path:
    """Keep one candidate, on one side: fewer to check."""
    path = folder / "plan.json"
    plan = json.loads(path.read_text())
    del plan["sides"][side]["candidates"][1:]
    plan["sides"]["right" if side == "left" else "left"].update(status="not-planned", reason="left out", candidates=[])
    path.write_text(json.dumps(plan))
    return folder


def first(plan: Plan, side: str = "left") -> Plan:
    candidate: Plan = plan["sides"][side]["candidates"][0]
    return candidate


def move(plan: Plan, key: str, millimetres: tuple[float, float, float]) -> None:
    first(plan)[key] = (np.array(first(plan)[key]) + millimetres).tolist()


def move_both(plan: Plan, millimetres: tuple[float, float, float]) -> None:
    for key in ("implant_entry_lps_mm", "implant_tip_lps_mm"):
        move(plan, key, millimetres)


def swap_sides(plan: Plan) -> None:
    plan["sides"]["left"], plan["sides"]["right"] = plan["sides"]["right"], plan["sides"]["left"]


def claim(plan: Plan, structure: str, **figures: float) -> None:
    first(plan)["clearance"][structure] |= figures


def claim_proof(plan: Plan, structure: str, **figures: float) -> None:
    first(plan)["clearance"][structure]["proof"] |= figures


def raise_term(plan: Plan, name: str) -> None:
    """Claim another value of a term, and the score that goes with it."""
    one = first(plan)
    value = 0.3 if one["terms"][name] > 0.6 else 0.9
    one["score"] += one["weights"][name] * (value - one["terms"][name])
    one["terms"][name] = value


def widen(plan: Plan, millimetres: float) -> None:
    """Claim another safe entry radius, and the score that follows."""
    one = first(plan)
    one["safe_entry_radius_mm"] = max(0.0, one["safe_entry_radius_mm"] + millimetres)
    term = float(np.clip((one["safe_entry_radius_mm"] - 1) / 4, 0, 1))
    one["score"] += one["weights"]["entry_radius"] * (term - one["terms"]["entry_radius"])
    one["terms"]["entry_radius"] = term


def farther(plan: Plan, structure: str) -> None:
    """Claim a clearance to a witness that is there, but not the nearest."""
    one, claimed = first(plan), first(plan)["clearance"][structure]
    tip, witness = np.array(one["implant_tip_lps_mm"]), np.array(claimed["at_lps_mm"])
    claimed["at_lps_mm"] = (witness + 3 * (witness - tip) / np.linalg.norm(witness - tip)).tolist()
    claimed["mm"] += 3


def raise_share(plan: Plan, share: float) -> None:
    first(plan)["articular_share"] = share


def turn_round(plan: Plan) -> None:
    one = first(plan)
    one["implant_entry_lps_mm"], one["implant_tip_lps_mm"] = one["implant_tip_lps_mm"], one["implant_entry_lps_mm"]


def repeat_first(plan: Plan) -> None:
    entry = plan["sides"]["left"]
    entry["candidates"] = [first(plan), {**first(plan), "rank": 2}]


def shift_thirds(plan: Plan) -> None:
    thirds = plan["sides"]["left"]["joint"]["thirds"]
    thirds["bounds_mm"] = [bound + 20 for bound in thirds["bounds_mm"]]


def forget_foramen(plan: Plan) -> None:
    plan["sides"]["left"]["foramina"].pop(0)


TAMPERED: list[tuple[str, Callable[[Plan], object], str]] = [
    ("tip moved 4 mm forward", lambda p: move(p, "implant_tip_lps_mm", (0, -4, 0)), "implant-size"),
    ("tip moved 4 mm across", lambda p: move(p, "implant_tip_lps_mm", (-4, 0, 0)), "neural-clearance"),
    ("implant moved 6 mm to the midline", lambda p: move_both(p, (-6, 0, 0)), "in-joint"),
    ("implant moved 12 mm down", lambda p: move_both(p, (0, 0, -12)), "inferior-third"),
    ("implant moved 15 mm up", lambda p: move_both(p, (0, 0, 15)), "middle-third"),
    ("implant moved out of the bones", lambda p: move_both(p, (0, 15, 0)), "containment"),
    ("sides swapped", swap_sides, "side"),
    ("proven raised above the bound", lambda p: claim(p, "neural", proven_mm=99.0, mm=99.0), "neural-proven"),
    (
        "measured raised",
        lambda p: claim(p, "neural", mm=first(p)["clearance"]["neural"]["mm"] + 0.5),
        "neural-clearance",
    ),
    ("proven above measured", lambda p: claim(p, "ventral_cortex", proven_mm=50.0), "ventral-cortex"),
    ("cortex claimed nearer than its limit", lambda p: claim(p, "outer_iliac_cortex", mm=4.0), "outer-iliac-cortex"),
    ("notch claimed farther", lambda p: claim(p, "sciatic_notch", mm=80.0), "sciatic-notch"),
    ("notice dropped", lambda p: p.pop("notice"), "notice"),
    ("notice reworded", lambda p: p.update(notice="For clinical use."), "notice"),
    ("another schema", lambda p: p.update(schema="sacroplan.plan/2"), "schema"),
    ("a status that is no status", lambda p: p["sides"]["left"].update(status="fine"), "status"),
    ("no candidates", lambda p: p["sides"]["left"].update(candidates=[]), "candidates"),
    ("no reason", lambda p: p["sides"]["left"].update(status="unverified", reason=""), "reason"),
    ("a side gone", lambda p: p["sides"].pop("right"), "sides"),
    ("entry and tip exchanged", turn_round, "posterior-entry"),
    ("one candidate twice", repeat_first, "distinct"),
    ("rank wrong", lambda p: first(p).update(rank=2), "ranks"),
    ("thirds shifted", shift_thirds, "thirds-place"),
    ("thirds uneven", lambda p: p["sides"]["left"]["joint"]["thirds"]["bounds_mm"].__setitem__(0, -50), "thirds-even"),
    ("another third", lambda p: first(p).update(third="superior"), "middle-third"),
    ("grade lowered", lambda p: first(p).update(grade="amber"), "grade"),
    ("angle claimed", lambda p: first(p)["angles_deg"].update(cranial_tilt=25.0), "angles"),
    ("angle beyond its limit", lambda p: first(p)["angles_deg"].update(axial_to_sagittal=45.0), "angle-limits"),
    ("C-arm turned", lambda p: first(p)["c_arm"]["down_the_implant"].update(orbital_deg=20.0), "c-arm"),
    ("length claimed", lambda p: first(p)["implant"].update(length_mm=15.0), "implant-size"),
    ("diameter claimed", lambda p: first(p)["implant"].update(diameter_mm=6.0), "neural-clearance"),
    ("score raised", lambda p: first(p).update(score=0.99), "score"),
    ("a term raised", lambda p: first(p)["terms"].update(bite=0.1), "score"),
    ("the place in the third claimed", lambda p: raise_term(p, "middle_third"), "score-terms"),
    ("a weight moved", lambda p: first(p)["weights"].update(clearance=0.5), "score"),
    ("a proof's term left out", lambda p: claim_proof(p, "neural", voxel_mm=9.0), "proof"),
    ("a proof's term below 0", lambda p: claim_proof(p, "ventral_cortex", sampling_mm=-1.0), "proof"),
    ("skin moved", lambda p: move(p, "skin_entry_lps_mm", (3, 0, 0)), "depth-from-skin"),
    ("shallower than it is long", lambda p: first(p).update(depth_from_bone_mm=5.0), "depth-from-bone"),
    (
        "deeper than it is",
        lambda p: first(p).update(depth_from_bone_mm=first(p)["depth_from_bone_mm"] + 4),
        "depth-from-bone",
    ),
    (
        "less bone removed",
        lambda p: first(p).update(bone_removed_mm3=first(p)["bone_removed_mm3"] - 30),
        "bone-removed",
    ),
    ("a deeper bite", lambda p: first(p)["bite_mm"].update(sacrum=first(p)["bite_mm"]["sacrum"] + 2), "bite"),
    ("a bite that is none", lambda p: first(p)["bite_mm"].update(hip=0.0), "bite"),
    ("more room for the entry", lambda p: first(p).update(safe_entry_radius_mm=5.0), "score-terms"),
    ("more room, and the term with it", lambda p: widen(p, 4.0), "safe-entry-radius"),
    ("less room, and the term with it", lambda p: widen(p, -4.0), "safe-entry-radius"),
    ("more room than is ever looked for", lambda p: widen(p, 40.0), "safe-entry-radius"),
    (
        "a breach likelier than it is",
        lambda p: first(p)["breach_probability"].update(navigated=0.3),
        "breach-probability",
    ),
    (
        "a breach where the bones are less sure",
        lambda p: p["sides"]["left"]["joint"].update(outline_error_mm=30.0),
        "breach-probability",
    ),
    (
        "a breach known better than it can be",
        lambda p: first(p)["breach_probability"].update(fluoroscopic_se=0.2),
        "breach-standard-error",
    ),
    ("a cortex that is not the nearest", lambda p: farther(p, "ventral_cortex"), "ventral-cortex-nearest"),
    ("articular where it is not", lambda p: raise_share(p, 0.0), "articular-zones"),
    ("denser bone", lambda p: first(p).update(hu_shell_mean=135.0), "score-terms"),
    ("less in the articular zone", lambda p: first(p).update(articular_share=0.6), "score-terms"),
    ("alignment claimed", lambda p: raise_term(p, "coplanar"), "score-terms"),
    ("the anterior margin farther", lambda p: claim(p, "anterior_margin", mm=40.0), "anterior-margin"),
    ("instruments farther in", lambda p: claim(p, "instrument_stop", mm=30.0), "instrument-stop"),
    ("the cannula farther off", lambda p: claim(p, "access_neural", mm=40.0), "access-neural"),
    ("the distractor farther off", lambda p: claim(p, "distractor_neural", mm=40.0), "distractor-neural"),
    ("the pin nearer than its limit", lambda p: claim(p, "pin_neural", mm=1.0), "pin-neural"),
    ("another angle in the scan", lambda p: first(p)["angles_in_scan_deg"].update(cranial_tilt=20.0), "angles-in-scan"),
    ("a mouth not found", forget_foramen, "foramina"),
    ("another grid", lambda p: p["input"].update(shape_zyx=[1, 2, 3]), "input-grid"),
    ("a key gone", lambda p: first(p).pop("clearance"), "well-formed"),
    ("not a number", lambda p: first(p).update(implant_tip_lps_mm=[0, 0, None]), "well-formed"),
]


@pytest.mark.parametrize(("tamper", "caught"), [t[1:] for t in TAMPERED], ids=[t[0] for t in TAMPERED])
def test_tampering_with_the_plan_is_caught(folder: Path, tamper: Callable[[Plan], object], caught: str) -> None:
    path = folder / "plan.json"
    plan = json.loads(shortened(folder).joinpath("plan.json").read_text())
    tamper(plan)
    path.write_text(json.dumps(plan))
    assert caught in failed(folder)


def wrong_header(plan: Plan, left: float = 1.0, posterior: float = 1.0, cranial: float = 1.0) -> None:
    """Say that the scan's header is wrong, and that the pelvis lies in its axes times these."""
    finding = {"code": "patient-position", "level": "review-only", "side": "both", "message": "turned"}
    plan["findings"].append(finding)
    for name, sign in (("left", left), ("posterior", posterior), ("cranial", cranial)):
        plan["pelvic_frame"][f"{name}_lps"] = [sign * v for v in plan["pelvic_frame"][f"{name}_lps"]]


@pytest.mark.parametrize(
    ("signs", "caught"),
    [
        ((1, 1, 1), set()),
        ((-1, -1, 1), {"laterality", "posterior-entry"}),
        ((-1, 1, 1), {"well-formed"}),  # a mirrored patient
        ((-1, 1, -1), {"well-formed"}),  # S1 below S3
    ],
)
def test_where_the_header_is_wrong_the_plans_own_frame_must_hold(
    folder: Path, signs: tuple[float, float, float], caught: set[str]
) -> None:
    plan = json.loads(shortened(folder).joinpath("plan.json").read_text())
    wrong_header(plan, *signs)
    (folder / "plan.json").write_text(json.dumps(plan))
    assert failed(folder) >= caught
    assert bool(failed(folder)) == bool(caught)


TAMPERED_HU: dict[str, tuple[Callable[[Plan], object], str]] = {
    "another shell": (lambda p: first(p).update(hu_shell_mean=first(p)["hu_shell_mean"] - 20), "hu-shell"),
    "denser bone on the axis": (lambda p: first(p)["hu_path"].__setitem__(20, 900), "hu-path"),
    "an axis cut short": (lambda p: first(p)["hu_path"].pop(), "hu-path"),
    "skin 4 mm off": (lambda p: move_skin(p, 4.0), "skin-on-scan"),
}


def move_skin(plan: Plan, millimetres: float) -> None:
    """Move the skin entry on the axis."""
    one = first(plan)
    tip, skin = np.array(one["implant_tip_lps_mm"]), np.array(one["skin_entry_lps_mm"])
    one["skin_entry_lps_mm"] = (skin + millimetres * (tip - skin) / np.linalg.norm(tip - skin)).tolist()
    one["depth_from_skin_mm"] -= millimetres


@pytest.mark.parametrize("name", TAMPERED_HU)
def test_tampering_with_hu_is_caught_by_the_scan(folder: Path, planned: Planned, name: str) -> None:
    tamper, caught = TAMPERED_HU[name]
    plan = json.loads(shortened(folder).joinpath("plan.json").read_text())
    tamper(plan)
    (folder / "plan.json").write_text(json.dumps(plan))
    assert caught in failed(folder, ArraySource(planned.volume))
    assert caught not in failed(folder)


def test_a_scan_of_another_grid_is_told(folder: Path, planned: Planned) -> None:
    z, y, x = planned.volume.hu.shape
    part = planned.volume.crop((slice(0, z), slice(1, y), slice(0, x)))
    assert failed(shortened(folder), ArraySource(part)) == {"scan-grid"}


def test_a_surface_moved_out_of_the_joint_is_caught(folder: Path, planned: Planned) -> None:
    joint = planned.joints[Side.LEFT]
    write_joint_ply(folder / "joint_left.ply", replace(joint, vertices_lps=joint.vertices_lps + np.array([6.0, 0, 0])))
    assert "joint-surface" in failed(shortened(folder))


def rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    image = SimpleITK.ReadImage(str(path))
    changed = SimpleITK.GetImageFromArray(change(SimpleITK.GetArrayFromImage(image)))
    changed.CopyInformation(image)
    SimpleITK.WriteImage(changed, str(path))


def exchange_hips(labels: Any) -> Any:
    return np.array([0, 1, 3, 2], np.uint8)[labels]


def test_labels_with_the_hips_exchanged_are_caught(folder: Path) -> None:
    rewrite(folder / "labels.nii.gz", exchange_hips)
    assert {"laterality", "side"} <= failed(shortened(folder))


def test_bone_taken_away_is_caught(folder: Path) -> None:
    rewrite(folder / "labels.nii.gz", lambda labels: np.where(labels == 2, 0, labels).astype(np.uint8))
    assert "containment" in failed(shortened(folder))


def test_keepouts_erased_are_caught(folder: Path) -> None:
    rewrite(folder / "keepout.nii.gz", np.zeros_like)
    assert {"neural-clearance", "foramen-voxels"} <= failed(shortened(folder))


@pytest.mark.parametrize(
    ("value", "caught"),
    [(1, "canal"), *((tens + level, "foramen-voxels") for tens in (10, 20) for level in (1, 2, 3))],
)
def test_a_keepout_that_is_gone_is_caught(folder: Path, value: int, caught: str) -> None:
    rewrite(folder / "keepout.nii.gz", lambda keepout: np.where(keepout == value, 0, keepout).astype(np.uint8))
    assert caught in failed(shortened(folder, "right" if value > 20 else "left"))


def test_keepouts_that_are_moved_are_caught(folder: Path) -> None:
    rewrite(folder / "keepout.nii.gz", lambda keepout: np.roll(keepout, 2, axis=2))
    assert "neural-clearance" in failed(shortened(folder))


CHANGES = {
    "worn": lambda bone: ndi.binary_erosion(bone),
    "grown": lambda bone: ndi.binary_dilation(bone),
    "moved aside": lambda bone: np.roll(bone, 2, axis=2),
}


@pytest.mark.parametrize("change", CHANGES)
def test_bone_that_is_changed_beside_the_implant_is_caught(folder: Path, change: str) -> None:
    def changed(labels: Any) -> Any:
        bones = [np.where(CHANGES[change](labels == value), value, 0).astype(np.uint8) for value in (1, 2, 3)]
        return np.maximum.reduce(bones)

    rewrite(folder / "labels.nii.gz", changed)
    assert {"bone-removed", "bite", "containment"} & failed(shortened(folder))


def test_keepouts_that_grow_to_the_implant_are_caught(folder: Path, planned: Planned) -> None:
    centre = planned.volume.grid.to_index(planned.plans[Side.LEFT].candidates[0].implant_tip_lps)
    z, y, x = np.rint(centre).astype(int)

    def grow(keepout: Any) -> Any:
        keepout[z - 6 : z + 6, y, x] = 1
        return keepout

    rewrite(folder / "keepout.nii.gz", grow)
    assert {"neural-clearance", "neural-proven", "neural-limit", "grade"} <= failed(shortened(folder))


@pytest.mark.parametrize("name", ["plan.json", "labels.nii.gz", "keepout.nii.gz", "joint_left.ply"])
def test_a_file_that_is_gone_or_damaged_fails_without_an_error(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"{")
    assert failed(folder) == {"files"}
    (folder / name).unlink()
    assert name.endswith(".ply") or failed(folder) == {"files"}
