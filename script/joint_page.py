"""The page of the joint's accuracy, from measured rows and findings: `script/evaluate joint` and `findings` fill it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from accuracy_page import number, table
from findings_accuracy import CODES, LOW_MM, PELVES, RISE_MM, scans
from joint_accuracy import COVERED_MM, ROWS
from joint_scores import GOAL_SPACING_MM, Scored, scored_joints, scores_parts

from planner import NOTICE

__all__ = ["joint_page"]

Result = Mapping[str, Any]

WHOLE = ("transitional-vertebra", "dysmorphic-sacrum", "low-bone-density")
"""Findings that are of the pelvis and not of a side."""

HEAD = """# Accuracy of the joint

{notice}

Written by `script/evaluate joint` and `script/evaluate findings`, worked out by our own code against the closed forms
and surfaces that the scans are made from, but for what an independent tool scored. Lengths in mm."""

GOALS_HEAD = "## What is asked for, and what is reached"

GOAL_GAP_MM = 0.3
"""Mean absolute error of the gap that is asked for, on phantoms at 1 mm slices."""

JOINT_TEXT = """## Mid-surface, gap, zone, thirds

{count} of {declared} declared phantoms (`sample_data/phantom.py`), whose joint is a closed form: {area} cm2, limbs
of 44 and 56 mm, 20 mm wide, at 93 degrees; the bones found by the program. Its outline is easier to find than a
patient's. One thing is varied at a time, and some together; 1.7 mm gap, 20 HU of noise and supine otherwise. The
worse of both sides. *Mid*: mean and 95th percentile of the distance between the mid-surface found and the true one,
over the true articular zone; *covered*: share of the true one within {covered:g} mm of a vertex. *Gap*: mean error
and mean absolute error. *Zone*: area over the true area, and Dice. *Thirds*: greatest error of the four bounds.
*Limbs*: errors of superior and inferior length, width and angle."""

LANDMARKS_TEXT = """## Landmarks and frame

The same rows. Distance of each landmark from where the same search has it on the true labels in voxels of 1 mm: what
outlines and voxels cost, not whether an anatomist would agree. *Endplate*, *anterior plane*: angle between the planes.
*Frame*: angle between the pelvic frame found and the phantom's own. A dash: not in view; ASIS and symphysis are seen in
the rows of the whole pelvis alone."""

FINDINGS_TEXT = """## Findings

{count} of {declared} made scans of {pelves} pelves of the JHU atlas, each planned with a shape model built without it;
1.25 to 2 mm slices, noise of 18 to 60 HU, from slight to plain cases. **Rules and thresholds were settled on six other
pelves** (two of HuBMAP, four of the atlas) with other noise. After an earlier table (specificity of `accessory-joint`
0.73, of `vacuum` 0.86) two rules were mended on those six, and one plain scan of these (J) was looked at then: its
bones meet where the joint itself reaches far back, which is no accessory joint and no longer said. Of the six, HuBMAP's
female is told to have one on the left in every scan, rightly: there the ilium hooks round behind the sacrum. A side
with the finding counts once, and so does a side without it, on every scan on which it was not made, those with
something else to find too. `low-bone-density` counts where it calls osteoporosis likely (below 130.5 HU); this was
decided after the first results, since the made trabeculae of healthy bone reach 140 HU. Two rules lean on all 28 people
of the atlas, the six measured among them: where bones usually lie apart, and how high crests usually stand. One kind of
scan has a hip prosthesis and contrast medium: nothing to find.

How they are made: a ball of bone of 8 to 14 mm radius across the joint; gas likewise; facets of 9 to 14 mm radius on
both bones of the recess, or a spur of the ilium, 1.5 mm apart; a joint 4.4 to 6 mm wide; L5 processes {low:g} mm lower
than beside an open sacrum; a screw of 1.2 to 4 mm radius across the joint; a scan that ends within the joint; iliac
wings pressed down by 60 to 80 % above the joints and S1 {rise:g} mm up; trabeculae of 60 to 100 HU."""

PICTURES_TEXT = """## On real scans

Gap, zone, limbs and thirds on the 0.8 mm scan of a volunteer (CC0), both sides; the paths on it are not verified, since
S3's foramina were not found.

![Left joint](images/gap_map_left.png)
![Right joint](images/gap_map_right.png)

Joint line and keep-outs on the same scan, and on 3 mm slices that end within the joint (Pancreas-CT-CB_001, TCIA,
10.7937/TCIA.ESHQ-4D90, CC BY 4.0).

![0.8 mm](images/joint_keepouts.png)
![3 mm](images/joint_keepouts_3mm.png)"""

WRONG_TEXT = "### What was missed or seen where it is not"


def joint_page(folder: Path) -> str:
    """Write the page from the results that are there."""
    rows = [_read(folder / "joint" / f"{row.name}.json") for row in ROWS]
    found = [_read(folder / "findings" / f"{scene}_{pelvis.key}.json") for scene, pelvis in scans()]
    joints = scored_joints(folder)
    parts = [
        HEAD.format(notice=NOTICE),
        *_goal_parts([r for r in rows if r], joints),
        *scores_parts(joints),
        *_joint_parts([r for r in rows if r]),
        *_finding_parts([r for r in found if r]),
    ]
    return "\n\n".join([*parts, PICTURES_TEXT]) + "\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return {}
    return result


def _goal_parts(rows: Sequence[Result], joints: Sequence[Scored]) -> Iterator[str]:
    goals = [*_gap_goal(rows), *_surface_goal(joints)]
    if goals:
        yield GOALS_HEAD
        yield table(("what", "asked", "reached", "holds"), iter(goals))


def _gap_goal(rows: Sequence[Result]) -> Iterator[list[str]]:
    thin = [row for row in rows if row["row"]["spacing_mm"] == 1.0]
    errors = [max(side["gap_mae_mm"] for side in row["joint"].values()) for row in thin]
    if thin:
        within = sum(error <= GOAL_GAP_MM for error in errors)
        yield [
            "gap on phantoms at 1 mm slices: mean absolute error, worse side",
            f"at most {GOAL_GAP_MM:g}",
            f"{number(min(errors))} to {number(max(errors))}, {within} of {len(thin)} rows",
            _holds(within == len(thin)),
        ]


def _surface_goal(joints: Sequence[Scored]) -> Iterator[list[str]]:
    thin = [joint for joint in joints if joint.slices_mm <= GOAL_SPACING_MM]
    if thin:
        within = sum(joint.is_within for joint in thin)
        yield [
            "mid-surface at slices up to 1 mm, by the independent tool: mean, 95th percentile, covered",
            "at most 0.4, at most 1.0, at least 95 %",
            f"worst {number(max(j.mean_mm for j in thin))}, {number(max(j.p95_mm for j in thin))}, "
            f"{min(j.covered for j in thin):.0%}; {within} of {len(thin)} joints",
            _holds(within == len(thin)),
        ]


def _holds(is_so: bool) -> str:
    return "yes" if is_so else "**no**"


def _joint_parts(rows: Sequence[Result]) -> Iterator[str]:
    if not rows:
        return
    yield JOINT_TEXT.format(count=len(rows), declared=len(ROWS), area="16.1", covered=COVERED_MM)
    head = ("slices", "gap", "noise", "pose", "mid, mean", "mid, 95th", "covered", "gap, bias", "gap, MAE", "area",
            "Dice", "thirds", "limbs", "width", "angle")  # fmt: skip
    yield table(head, ([*_what(row["row"]), *_joint_cells(list(row["joint"].values()))] for row in rows))
    yield LANDMARKS_TEXT
    names = ("PSIS", "PIIS", "ASIS", "sciatic notch", "promontory", "S1 endplate centre", "symphysis")
    columns = ("slices", "gap", "noise", "pose", *names, "endplate, deg", "anterior plane, deg", "frame, deg")
    yield table(columns, ([*_what(row["row"]), *_landmark_cells(row, names)] for row in rows))


def _what(row: Mapping[str, Any]) -> list[str]:
    pose = row["pose"] + (", whole pelvis" if row["view"] == "pelvis" else "")
    return [f"{row['spacing_mm']:g}", f"{row['gap_mm']:g}", f"{row['noise_hu']:g}", pose]


def _joint_cells(sides: Sequence[Mapping[str, float]]) -> list[str]:
    def worst(key: str, ideal: float = 0.0) -> float:
        return max((side[key] for side in sides), key=lambda value: abs(value - ideal))

    return [
        *(number(worst(key)) for key in ("mid_mm", "mid_p95_mm")),
        number(worst("covered", 1.0)),
        f"{worst('gap_bias_mm'):+.2f}",
        number(worst("gap_mae_mm")),
        number(worst("area_share", 1.0)),
        number(worst("zone_dice", 1.0)),
        number(worst("thirds_mm"), 1),
        f"{worst('superior_mm'):+.1f} {worst('inferior_mm'):+.1f}",
        f"{worst('width_mm'):+.1f}",
        f"{worst('angle_deg'):+.0f}",
    ]


def _landmark_cells(row: Result, names: Sequence[str]) -> list[str]:
    away, missed = row["landmarks"]["away_mm"], row["landmarks"]["missed"]
    cells = []
    for name in (name.lower().replace(" ", "_") for name in names):
        mine = [value for key, value in away.items() if key.endswith(name)]
        lost = sum(key.endswith(name) for key in missed)
        cells.append(" / ".join([number(max(mine, default=float("nan")), 1), *(["missed"] if lost else [])]))
    angles = (row["landmarks"]["endplate_deg"], row["landmarks"]["anterior_deg"], row["frame"]["turned_deg"])
    return [*cells, *(number(angle, 1) for angle in angles)]


def _finding_parts(found: Sequence[Result]) -> Iterator[str]:
    if not found:
        return
    yield FINDINGS_TEXT.format(
        count=len(found), declared=len(list(scans())), pelves=len(PELVES), low=LOW_MM, rise=RISE_MM
    )
    head = ("finding", "with it", "found", "sensitivity", "without it", "said all the same", "specificity")
    yield table(head, (_counts(code, found) for code in CODES))
    yield _bridges(found)
    refused = [f"{r['scene']} {r['pelvis']}" for r in found if "refused" in r]
    if refused:
        yield f"Refused (no pelvis found), and counted nowhere: {', '.join(refused)}."
    yield WRONG_TEXT
    yield table(("scan", "missed", "said all the same"), _wrong(found))


def _sides(code: str, pairs: Sequence[Sequence[str]]) -> set[str]:
    """Sides of one finding; of what is of the pelvis, ``both`` whatever the side."""
    return {"both" if code in WHOLE else side for name, side in pairs if name == code}


def _places(code: str) -> set[str]:
    return {"both"} if code in WHOLE else {"left", "right"}


def _counts(code: str, found: Sequence[Result]) -> list[str]:
    """Count one finding over all scans."""
    here = [(_sides(code, r["expected"]), _sides(code, r["told"])) for r in found if "told" in r]
    made = sum(len(expected) for expected, _ in here)
    seen = sum(len(expected & told) for expected, told in here)
    free = sum(len(_places(code) - expected) for expected, _ in here)
    false = sum(len(told - expected) for expected, told in here)
    share = [number(part / whole if whole else float("nan")) for part, whole in ((seen, made), (free - false, free))]
    return [f"`{code}`", str(made), str(seen), share[0], str(free), str(false), share[1]]


def _bridges(found: Sequence[Result]) -> str:
    bridges = [r["bridge"] for r in found if r.get("bridge")]
    if not bridges:
        return "No bridge was found."
    share = [b["told_mm2"] / b["made_mm2"] for b in bridges]
    away = [b["away_mm"] for b in bridges]
    return (
        f"Of {len(bridges)} bridges that were found the area told is {np.median(share):.0%} of the ball's section "
        f"({min(share):.0%} to {max(share):.0%}; the ball reaches beyond the joint), and the place told lies "
        f"{np.median(away):.1f} mm (at most {max(away):.1f}) from the ball's centre."
    )


def _wrong(found: Sequence[Result]) -> Iterator[list[str]]:
    for r in found:
        if "told" not in r:
            continue
        sides = {code: (_sides(code, r["expected"]), _sides(code, r["told"])) for code in CODES}
        cells = [
            ", ".join(f"{code} {side}" for code, pair in sides.items() for side in sorted(pair[k] - pair[1 - k]))
            for k in (0, 1)
        ]
        if any(cells):
            yield [f"{r['scene']} {r['pelvis']}", *(cell or "-" for cell in cells)]
