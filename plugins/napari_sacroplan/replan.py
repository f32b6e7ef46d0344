"""Painted labels or keep-outs, and the planning anew of what depends on them and of nothing else.

A keep-out bears on the search of the sides that it lies near; a hip bone on its own joint and search; the sacrum on
both. Painted bones are kept as they are painted; the shape model is fitted to them, for what it alone knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_sacroplan.reopen import ReviewedCase, landmarks_of
from planner.errors import LabelsError
from planner.images import write_placed_labels
from planner.joint import extract_joint, measure_joint
from planner.labels import Label, Side
from planner.plan import describe_side
from planner.segmentation import Bones, bones_from_labels, load_shape_model
from planner.trajectory import plan_side
from planner.volume import LabelMap

__all__ = ["PAINTED_FILES", "replan_painted"]

PAINTED_FILES = {"bones": "review_labels.nii.gz", "keep-outs": "review_keepout.nii.gz"}
"""Beside the plan's own files, which stay as they are."""

NEAR_MM = 60.0
"""Keep-outs farther from a joint bear on nothing in it: as far as the search looks at them."""

Labels = NDArray[np.uint8]


def replan_painted(
    case: ReviewedCase, bones: Labels | None, keepouts: Labels | None, say: Callable[[str], None] = lambda stage: None
) -> tuple[ReviewedCase, tuple[str, ...]]:
    """Plan anew what depends on painted labels; write them beside the plan.

    Parameters
    ----------
    case : ReviewedCase
        Before.
    bones, keepouts : (z, y, x) uint8 arrays or None
        On the working grid; None where nothing was painted.
    say : callable
        Told the name of each stage; raising from it cancels.

    Returns
    -------
    ReviewedCase, tuple of str
        The case as it is now, and what was painted.

    Raises
    ------
    planner.errors.SacroplanError
        If bones were painted and the scan is not at hand.
    """
    sides = [side for side in Side if side in case.joints and _bears_on(case, side, bones, keepouts)]
    painted = []
    if keepouts is not None:
        mask = LabelMap(keepouts, case.keepouts.mask.grid)
        case = replace(case, keepouts=replace(case.keepouts, mask=mask))
        painted.append("keep-outs")
    if bones is not None:
        case = _with_bones(case, LabelMap(bones, case.bones.labels.grid), sides, say)
        painted.append("bones")
    for side in sides:
        say(f"search the {side} side")
        case = _planned(case, side)
    for name in painted:
        labels = case.bones.labels if name == "bones" else case.keepouts.mask
        write_placed_labels(case.folder / PAINTED_FILES[name], case.place.to_input(labels))
    return case, tuple(painted)


def _bears_on(case: ReviewedCase, side: Side, bones: Labels | None, keepouts: Labels | None) -> bool:
    if bones is not None:
        before = case.bones.labels.values
        changed = before != bones
        touched = set(np.unique(before[changed]).tolist()) | set(np.unique(bones[changed]).tolist())
        if touched & {Label.SACRUM, side.hip}:
            return True
    if keepouts is None:
        return False
    box = case.keepouts.mask.grid.box_around(case.joints[side].vertices_lps, NEAR_MM)
    return bool((case.keepouts.mask.values[box] != keepouts[box]).any())


def _with_bones(case: ReviewedCase, labels: LabelMap, sides: list[Side], say: Callable[[str], None]) -> ReviewedCase:
    if not case.has_ct:
        raise LabelsError(
            "Bones were painted, but the scan is not at hand: the joint is measured on it.",
            "Open the review with --ct.",
        )
    say("fit the bones")
    fitted = bones_from_labels(case.volume, labels, load_shape_model(), case.config.segmentation)
    bones: Bones = replace(fitted, labels=labels, frame=case.bones.frame)
    joints = dict(case.joints)
    for side in sides:
        say(f"measure the {side} joint")
        joints[side] = extract_joint(case.volume, bones, side, case.config.joint)
    return replace(case, bones=bones, joints=joints)


def _planned(case: ReviewedCase, side: Side) -> ReviewedCase:
    joint, keepouts = case.joints[side], case.keepouts
    landmarks = landmarks_of(case.plan, side)
    config = case.config
    plan = plan_side(case.volume, case.bones, joint, keepouts, case.implant, config.trajectory, landmarks)
    sure, measures = case.bones.joint_sureness.get(side), measure_joint(joint, config.joint)
    document = describe_side(plan, joint, keepouts.foramina, landmarks, sure, measures)
    sides = {**case.plan.sides, side.value: document}
    return replace(case, plan=case.plan.model_copy(update={"sides": sides}))
