"""The words on a page: which side, what is proposed or why not, and the numbers that matter."""

from __future__ import annotations

import numpy as np

from planner.figures.model import FigureCase
from planner.figures.page import Heading
from planner.figures.palette import grade_words, status_words
from planner.labels import Side
from planner.trajectory.model import Candidate

__all__ = ["heading", "lines", "summary"]

CLEARANCE_WORDS = {
    "neural": "canal and foramina",
    "ventral_cortex": "ventral sacral cortex",
    "outer_iliac_cortex": "outer iliac cortex",
    "sciatic_notch": "sciatic notch",
    "anterior_margin": "anterior joint margin",
}
"""Order and names of the clearances shown."""


def heading(case: FigureCase, side: Side, picture: str) -> Heading:
    """Name the side and the picture, the state of the plan, and its numbers or the reason why there is none."""
    best = case.best(side)
    grade = f", {grade_words(best.grade)}" if best else ""
    state = status_words(case.plans.get(side)) + grade
    return Heading(f"{side.value.upper()} sacroiliac joint: {picture}", state[0].upper() + state[1:], lines(case, side))


def summary(case: FigureCase, side: Side) -> str:
    """Say in one line what is proposed for a side, or why nothing is."""
    plan, best = case.plans.get(side), case.best(side)
    if plan is None or best is None:
        return f"{status_words(plan)}. {plan.reason if plan else ''}".strip()
    neural = f", {best.clearances['neural'].mm:.1f} mm from canal and foramina" if "neural" in best.clearances else ""
    size = f"{best.implant_id} {best.diameter_mm:g} x {best.length_mm:g} mm, {best.third} third"
    return f"{status_words(plan)}, {best.grade}: {size}{neural}. {plan.reason}".strip()


def lines(case: FigureCase, side: Side) -> list[str]:
    """Give the key numbers of the first candidate, or say why there is none."""
    plan, best = case.plans.get(side), case.best(side)
    reason = plan.reason if plan else f"No plan was made for the {side} side."
    if best is None:
        return [f"No implant is shown: {reason}", _joint_line(case, side)]
    told = [_implant_line(best), _clearance_line(best)]
    return [*told, f"Not verified: {reason}"] if reason else told


def _implant_line(best: Candidate) -> str:
    depth = "" if np.isnan(best.depth_from_skin_mm) else f" ({best.depth_from_skin_mm:.0f} mm from the skin)"
    return (
        f"{best.implant_id} {best.diameter_mm:g} x {best.length_mm:g} mm, {best.third} third, "
        f"{100 * best.articular_share:.0f} % in the articular zone; "
        f"tip {best.depth_from_bone_mm:.0f} mm from the bone's surface{depth}; "
        f"{best.axial_to_sagittal_deg:.0f} deg to the sagittal plane, {round(best.cranial_tilt_deg):+} deg cranial; "
        f"score {best.score:.2f}."
    )


def _clearance_line(best: Candidate) -> str:
    known = [(word, best.clearances[key]) for key, word in CLEARANCE_WORDS.items() if key in best.clearances]
    told = [f"{word} {clearance.mm:.1f}" for word, clearance in known]
    neural = best.clearances.get("neural")
    proven = f" (proven {neural.proven_mm:.1f})" if neural else ""
    return f"Clearance, mm: {', '.join(told)}".replace(told[0], told[0] + proven, 1) + "." if told else ""


def _joint_line(case: FigureCase, side: Side) -> str:
    joint = case.joints.get(side)
    if joint is None:
        return f"The {side} joint was not found in the scan."
    cut = " The scan cuts the joint off." if joint.truncated else ""
    gap = f"median {joint.gap_median_mm:.1f} mm, 95 % below {joint.gap_p95_mm:.1f} mm"
    return f"Joint gap in the articular zone: {gap}.{cut}"
