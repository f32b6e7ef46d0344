"""The page of accuracy from scored cases: `script/evaluate` fills it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from calibrate_confidence import LEAST_DICE, SOURCES, Row, left_out, outlines, perturbed, usable
from conditions import CONDITIONS, cases

from planner import NOTICE
from planner.labels import Side
from planner.segmentation import SegmentationConfig
from planner.segmentation.confidence import GOOD_MM, Evidence, joint_sureness

__all__ = ["accuracy_page"]

TRUSTED = SegmentationConfig().low_confidence
"""Confidence from which on an outline claims to be good: below it the product says that it is not sure."""

SAFE_SOLID_MM = 1.0
"""An implant further than this outside the true bones is not contained."""

UPRIGHT_DEG = 10.0
"""The scoring tool takes thirds along LPS z: they are read where the patient is turned by no more than this."""

BANDS = ((0.0, 0.2), (0.2, TRUSTED), (TRUSTED, 0.8), (0.8, 1.01))
"""Bands of confidence."""

Result = Mapping[str, Any]


def number(value: object, digits: int = 2) -> str:
    """Print a number; a dash where there is none."""
    return f"{value:.{digits}f}" if isinstance(value, int | float) and np.isfinite(value) else "-"


def table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """Lay out a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def middle_and_worst(values: Sequence[float], digits: int, *, high_is_bad: bool = True) -> str:
    """Median and worst of some figures."""
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return "-"
    worst = max(known) if high_is_bad else min(known)
    return f"{np.median(known):.{digits}f} / {worst:.{digits}f}"


def bone_values(results: Sequence[Result], key: str) -> list[float]:
    """One figure of every bone."""
    bones = [bone for result in results for bone in result.get("score", {}).get("bones", {}).values()]
    found = [bone.get(key) for bone in bones if isinstance(bone, dict)]
    return [float("nan") if value is None else float(value) for value in found]


def joint_values(results: Sequence[Result], key: str) -> list[float]:
    """One figure of every joint."""
    joints = [joint for result in results for joint in result.get("score", {}).get("joint", {}).values()]
    found = [joint.get(key) for joint in joints]
    return [float("nan") if value is None else float(value) for value in found]


def plans(results: Sequence[Result]) -> list[tuple[Result, Mapping[str, Any]]]:
    """Sides that have a scored path."""
    sides = [(result, plan) for result in results for plan in result.get("score", {}).get("plan", {}).values()]
    return [(result, plan) for result, plan in sides if "true_neural_mm" in plan]


def is_broken(plan: Mapping[str, Any]) -> bool:
    """Whether a path breaks what its plan claims: clearance, containment, or side."""
    unsafe = bool(plan["claim_broken"]) or not plan["safe"] or not plan["right_side"]
    return unsafe or plan["outside_solid_mm"] > SAFE_SOLID_MM


def off_third(result: Result, plan: Mapping[str, Any]) -> bool:
    """Whether a path's middle lies outside the middle third along LPS z, which is the tool's, of an upright patient."""
    upright = max(abs(angle) for angle in result["facts"]["condition"]["turn"]) <= UPRIGHT_DEG
    return upright and not plan["middle_third"]


def met(result: Result) -> bool:
    """Whether a case ended as its condition asks for."""
    condition = result["facts"]["condition"]
    if result["refused"]:
        return bool(condition["may_refuse"])
    said = {finding.split(":")[0] for finding in result["findings"]}
    return "error" not in result["score"] and (not condition["flags"] or bool(said & set(condition["flags"])))


def condition_rows(results: Sequence[Result]) -> Iterator[Sequence[str]]:
    """Give one row a condition."""
    for condition in CONDITIONS:
        here = [result for result in results if result["facts"]["condition"]["name"] == condition.name]
        if not here:
            continue
        paths = plans(here)
        drawn = list(outlines(here))
        yield [
            condition.group,
            condition.name,
            " ".join(result["facts"]["base"] for result in here),
            middle_and_worst(bone_values(here, "dice"), 3, high_is_bad=False),
            middle_and_worst(bone_values(here, "assd_si_zone_mm"), 2),
            middle_and_worst(bone_values(here, "hd95_si_zone_mm"), 2),
            middle_and_worst(joint_values(here, "mid_error_mm"), 2),
            middle_and_worst(joint_values(here, "coverage_2mm"), 2, high_is_bad=False),
            f"{sum(row.bad for row in drawn)} of {len(drawn)}",
            f"{sum(is_broken(plan) for _, plan in paths)} of {len(paths)}",
            str(sum(off_third(*path) for path in paths)),
            str(sum(bool(result["refused"]) for result in here)),
            f"{sum(met(result) for result in here)} of {len(here)}",
        ]


def judged_rows(results: Sequence[Result], *, wrong_too: bool) -> list[tuple[Row, float]]:
    """Outlines with the confidence that coefficients fitted to other pelves give; those wrong on purpose last."""
    by_name = {result["name"]: result for result in results}
    rows = [row for row in outlines(results) if usable(row, by_name)]
    wrong = [row for row in perturbed(results) if usable(row, by_name)]
    if len({row.base for row in rows}) < 2:
        return []
    return left_out([*rows, *wrong], [*rows, *wrong] if wrong_too else rows)


def confidence_rows(results: Sequence[Result]) -> Iterator[Sequence[str]]:
    """Give one row a band of confidence, judged on pelves that the coefficients were not fitted to."""
    judged = judged_rows(results, wrong_too=True)
    for low, high in BANDS:
        band = [row for row, confidence in judged if low <= confidence < high]
        errors = [row.error_mm for row in band]
        bad = sum(row.bad for row in band)
        claim = "good" if low >= TRUSTED else "not sure"
        spread = middle_and_worst(errors, 2)
        yield [f"{low:g}-{min(high, 1.0):g}", claim, str(len(band)), str(len(band) - bad), str(bad), spread]


def false_confidence(results: Sequence[Result]) -> str:
    """Say how often a bad outline claims to be good, and the other way round."""
    judged = judged_rows(results, wrong_too=False)
    if not judged:
        return "Too few cases to say."
    wrong = [(row, confidence) for row, confidence in judged_rows(results, wrong_too=True)[len(judged) :] if row.bad]
    believed = [row for row, confidence in wrong if confidence >= TRUSTED]
    bad = [(row, confidence) for row, confidence in judged if row.bad]
    lies = [(row, confidence) for row, confidence in bad if confidence >= TRUSTED]
    modest = [row for row, confidence in judged if not row.bad and confidence < TRUSTED]
    names = "; ".join(
        f"{r.case} {r.bone} ({r.error_mm:.1f} mm, Dice {r.dice:.2f}, confidence {c:.2f})" for r, c in lies
    )
    return (
        f"Of {len(judged)} outlines {len(bad)} are bad (95th percentile near the joint above {GOOD_MM:.0f} mm, or Dice "
        f"below {LEAST_DICE}). **{len(lies)} of these {len(bad)} claim to be good** (confidence of {TRUSTED} or more): "
        f"{names or 'none'}. {len(modest)} of {len(judged) - len(bad)} good ones are doubted without need.\n\n"
        f"Of the outlines that were made wrong on purpose (`script/perturb.py`), {len(wrong)} are bad and "
        f"**{len(believed)} of them claim to be good** (errors worked out by us, as the tool does). "
        "The table counts both kinds."
    )


def decoy_rows(results: Sequence[Result]) -> Iterator[Sequence[str]]:
    """Give one row a case in which something else might be taken for bone."""
    for result in results:
        extra = result.get("extra", {})
        rest = extra.get("decoys_labelled_ml", {}) | {
            f"missing {k}": v for k, v in extra.get("invented_ml", {}).items()
        }
        if rest:
            yield [result["name"], ", ".join(f"{name.replace('_', ' ')} {ml:.2f}" for name, ml in rest.items())]


def faces_of(result: Result) -> dict[tuple[str, Side], Evidence]:
    """Evidence by bone and side."""
    named = {name: Evidence(**values) for name, values in result.get("evidence", {}).items()}
    return {(name.split()[0], Side(name.split()[1])): evidence for name, evidence in named.items()}


def case_rows(results: Sequence[Result]) -> Iterator[Sequence[str]]:
    """Give one row a case."""
    for result in results:
        condition, bones = result["facts"]["condition"], result.get("score", {}).get("bones", {})
        own = result["facts"]["source"] in ("fracsegnet", "totalsegmentator")
        drawn = [bone for bone in bones.values() if isinstance(bone, dict)]
        said = [f.split(":")[0] for f in result.get("findings", []) if ":note:" not in f]
        yield [
            result["name"],
            "own" if own else " x ".join(f"{s:g}" for s in condition["spacing"]),
            *(" ".join(number(bone.get(key), d) for bone in drawn) or "-" for key, d in BONE_KEYS),
            " ".join(number(value) for value in joint_values([result], "mid_error_mm")) or "-",
            " ".join(number(sure.confidence) for sure in joint_sureness(faces_of(result)).values()),
            ", ".join(p["status"] + (" BROKEN" if "true_neural_mm" in p and is_broken(p) else "") for p in
                      result.get("score", {}).get("plan", {}).values()) or "-",
            (result["message"] or ", ".join(dict.fromkeys(said)) or "-").replace("|", "/"),
        ]  # fmt: skip


BONE_KEYS = (("dice", 3), ("hd95_si_zone_mm", 2))
"""Figures of a bone in the table of cases, and their digits."""

PREFACE = """# Accuracy

{notice}

Written by `script/evaluate run`; every figure of error comes from the independent scoring tool, none from our own code.
Lengths in mm. {cases} of {declared} declared cases; no figure is taken on a pelvis that the shape model was built from.

- **M, F** (hubmap): HuBMAP CCF 3D reference pelves, male and female (Visible Human, CC BY 4.0, 10.48539/HBM893.QGJK.978
  and 10.48539/HBM427.CCRP.887; smoothed by an artist). CT is rendered from the surfaces, so the truth is exact.
- **A, B, C, D** (jhu): four pelves of the JHU atlas (Han et al., Phys Med Biol 2019, 10.1088/1361-6560/ab1456,
  CC BY 4.0), CT rendered likewise. **Each is planned with a shape model built from the 27 others.** Their sacrum ends
  at S3.
- **P, Q** (phantom): the phantom, whose shape is the shape model's own: a check that nothing breaks, no accuracy.
- **R2, R4** (fracsegnet): real CT of bones (Liu et al., MICCAI 2023, MIT) with expert labels and made soft tissue
  behind them. One side of each is fractured. No keep-outs are known, so plans are not scored. The bones were cut out
  along the experts' outline, and the cut can still be seen: **outlines are easier to find than in a patient**.
- **T** (totalsegmentator): TotalSegmentator's test scan (Apache-2.0), 3 mm, metal in the left hip, as it is. **Its
  truth is another model's labels**, good for gross errors only.

The thresholds of the bone stage were chosen with R2, R4 and T in view: their figures are optimistic for that. M and F
were in view while the blind start was mended (a tight view, a missing side), which is about finding, not outlining.

What made CT is not: its tissue is simple, its noise is not a scanner's, its streaks of metal are those of beam
hardening alone, and L5, femora, ribs, skull, arms are closed forms and are not scored. Made facing faces are kept apart
by the condition's gap, where a mesh's are closer or overlap, in scan and labels alike. True keep-outs are the enclosed
empty space of the sacrum's solid (`sample_data/sacral_holes.py`): our own definition, not an anatomist's.
"""

CONDITIONS_TEXT = """## By condition

`median / worst` over bones or joints. SI zone: bone within 12 mm of the facing bone; the mean surface distance there
and the 95th percentile. *Bad*: outlines with a 95th percentile above {good:.0f} mm there, or a Dice below {dice}; with
slices of 3 mm and more that is one voxel. *Broken*: first candidates that break what the plan claims (proven neural
clearance, 3 mm, containment to {solid:.0f} mm, side). *Off third*: those whose middle lies outside the tool's
middle third, which is cut along LPS z and not in the pelvic frame; upright patients. *As asked*: done; or with a
finding, where the condition calls for one; or refused or flagged, for children."""

CONFIDENCE_TEXT = """## How sure it says it is

Confidence is the probability that an outline's 95th percentile near the joint is at most {good:.0f} mm
(`planner/segmentation/confidence.py`). Here **each pelvis is judged by coefficients fitted to the other pelves alone**;
made scans of adults ({sources}). The coefficients that ship are fitted to all of them; the confidence
from which on an outline counts as good ({trusted}) was chosen with these outlines in view. An outline is a bone of a
case."""

DECOYS_TEXT = """## What is not pelvis

Millilitres of contrast, plaques, other bones, cushions and table labelled as pelvis, and of a bone that is
not there."""

CASES_TEXT = """## Cases

Dice and 95th percentile: sacrum, left hip, right hip; mid-surface and confidence: left, right. Confidence is that of
the coefficients that ship. *Said*: findings above a note, or why the scan was refused."""


def accuracy_page(results: Sequence[Result]) -> str:
    """Write the page of tables."""
    condition_head = (
        "group", "condition", "pelves", "Dice", "mean, SI zone", "95th, SI zone", "mid-surface", "coverage", "bad",
        "broken", "off third", "refused", "as asked",
    )  # fmt: skip
    case_head = ("case", "spacing z y x", "Dice", "95th, SI zone", "mid-surface", "joint confidence", "plans", "said")
    parts = [
        PREFACE.format(notice=NOTICE, cases=len(results), declared=len(cases())),
        CONDITIONS_TEXT.format(good=GOOD_MM, dice=LEAST_DICE, solid=SAFE_SOLID_MM),
        table(condition_head, condition_rows(results)),
        CONFIDENCE_TEXT.format(good=GOOD_MM, sources=", ".join(SOURCES), trusted=TRUSTED),
        false_confidence(results),
        table(("confidence", "claims", "outlines", "good", "bad", "error, median / worst"), confidence_rows(results)),
        DECOYS_TEXT,
        table(("case", "ml"), decoy_rows(results)),
        CASES_TEXT,
        table(case_head, case_rows(results)),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"
