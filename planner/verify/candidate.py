"""Checks of one candidate: each claim against the labels, by dense samples and nearest voxels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from planner.verify.case import HIPS, SACRUM, Dowel, is_neural, least_distance, point
from planner.verify.claims import check_claims
from planner.verify.image import surface_of_cylinder
from planner.verify.model import Check

__all__ = ["check_candidate"]

NEURAL_MM = 3.0
"""Implant and instrument to any neural structure (clinical notes, section 4, constraint 1)."""

CORTEX_MM = 5.0
"""Implant to the ventral sacral and outer iliac cortex (constraint 3)."""

ANTERIOR_MM = 5.0
"""Implant tip to the anterior joint margin (constraint 2)."""

NOTCH_MM = 10.0
"""Implant to the greater sciatic notch (constraint 8)."""

GREEN_MM = 5.0
"""Smallest clearance of a green plan (section 5)."""

AXIAL_DEG, TILT_DEG = (0.0, 40.0), (-10.0, 30.0)
"""Direction limits (constraint 7)."""

OFFSET_MM = 3.0
"""Centre to the mid-surface: an implant within the joint."""

NIBBLE_MM = 2.0
"""Bone that the way in may meet (constraint 6)."""

WAY_IN_MM = 60.0
"""Length of the way in that is checked behind the implant."""

ROUNDING_MM = 0.02
"""Rounding of the plan's figures, and what lies between samples."""

ROUNDING_DEG = 0.05
"""Of angles: from points rounded to a micrometre."""

SCORE_ROUNDING = 0.002
"""Of a score and its terms, which are rounded to 1e-4 each."""

TERM_ROUNDING = 0.02
"""Of a term worked out anew from figures that are rounded to a micrometre, and with what lies between samples."""

CLEARANCE_RAMP_MM = (3.0, 5.0)
"""Where the score's clearance term is 0 and 1 (section 5)."""

FRAME_DEG = 8.0
"""The plan does not hold the pelvic frame's left: it is taken from the hip bones' centres, which is this coarse."""

THIRDS_SLACK_MM = 10.0
"""The thirds reach no farther than this beyond the height over which the bones are near."""

Points = NDArray[np.float64]


def check_candidate(dowel: Dowel) -> Iterator[Check]:
    """Check one candidate."""
    yield from _shape(dowel)
    yield from _neural(dowel)
    yield from _soft(dowel)
    yield from _witnesses(dowel)
    yield from _place(dowel)
    yield from _thirds(dowel)
    yield from _angles(dowel)
    yield from _depths(dowel)
    yield _grade(dowel)
    yield from _proofs(dowel)
    yield from _score(dowel)
    yield from check_claims(dowel)


def _check(dowel: Dowel, name: str, passed: bool, words: str) -> Check:
    return Check(name, dowel.side, bool(passed), f"{dowel.name}: {words}")


def _shape(dowel: Dowel) -> Iterator[Check]:
    length, claimed = dowel.length, float(dowel.claims["implant"]["length_mm"])
    words = f"ends are {length:.2f} mm apart, length {claimed:g} mm, diameter {2 * dowel.radius:g} mm"
    yield _check(dowel, "implant-size", abs(length - claimed) <= ROUNDING_MM and dowel.radius > 0, words)
    behind = float((dowel.entry - dowel.tip) @ dowel.case.axes[1])
    yield _check(dowel, "posterior-entry", behind > 0, f"entry {behind:.1f} mm posterior to tip")


def _neural(dowel: Dowel) -> Iterator[Check]:
    """Check the measured clearance, the proven one, the limit, and the way in."""
    claim, labels = dowel.clearance("neural"), dowel.case.keepout
    centre = dowel.neural_centre_distance
    mm, bound = centre - labels.half_voxel_mm, centre - labels.half_diagonal_mm
    words = f"measured {mm:.2f} mm, claimed {claim['mm']:.2f} mm"
    yield _check(dowel, "neural-clearance", abs(mm - claim["mm"]) <= ROUNDING_MM, words)
    proven = claim["proven_mm"]
    words = f"bound {bound:.2f} mm, claimed proven {proven:.2f} mm"
    yield _check(dowel, "neural-proven", proven <= min(bound, claim["mm"]) + ROUNDING_MM, words)
    yield _check(dowel, "neural-limit", mm >= NEURAL_MM, f"{mm:.2f} mm, at least {NEURAL_MM:g} mm")
    behind = dowel.entry - WAY_IN_MM * dowel.direction
    way = surface_of_cylinder(behind, dowel.entry, dowel.radius, step_mm=1.0)
    near = labels.around(way, NEURAL_MM * 3)
    mm = least_distance(way, near.points(is_neural(near.values))) - labels.half_voxel_mm
    yield _check(dowel, "neural-way-in", mm >= NEURAL_MM, f"{mm:.2f} mm, at least {NEURAL_MM:g} mm")


def _soft(dowel: Dowel) -> Iterator[Check]:
    """Check the distance that is claimed to soft keep-outs, and that the implant stays out of them."""
    mm = dowel.soft_centre_distance - dowel.case.keepout.half_voxel_mm
    claimed = dowel.claims["clearance"].get("soft")
    if claimed is not None:
        words = f"measured {mm:.2f} mm, claimed {claimed['mm']:.2f} mm"
        yield _check(dowel, "soft-clearance", abs(mm - claimed["mm"]) <= ROUNDING_MM, words)
    words = f"{mm:.2f} mm from vessels and nerves before the joint and at the notch"
    yield _check(dowel, "soft-limit", mm > 0, words)


def _witnesses(dowel: Dowel) -> Iterator[Check]:
    """Each clearance against its own witness point, and against its limit."""
    limits = {"ventral_cortex": CORTEX_MM, "outer_iliac_cortex": CORTEX_MM, "sciatic_notch": NOTCH_MM}
    for name, limit in limits.items():
        if name not in dowel.claims["clearance"]:
            continue
        claim = dowel.clearance(name)
        away = least_distance(dowel.surface, point(claim["at_lps_mm"])[None])
        half = 0.0 if name == "sciatic_notch" else dowel.case.labels.half_voxel_mm
        words = f"witness at {away - half:.2f} mm, claimed {claim['mm']:.2f} mm, at least {limit:g} mm"
        kept = abs(away - half - claim["mm"]) <= ROUNDING_MM and claim["mm"] >= limit - ROUNDING_MM
        yield _check(dowel, name.replace("_", "-"), kept and claim["proven_mm"] <= claim["mm"], words)


def _place(dowel: Dowel) -> Iterator[Check]:
    """Inside the bones, in the joint of its own side, with a free way in."""
    bones, centre = dowel.bones, dowel.centre[None]
    own, other = HIPS[dowel.side], HIPS["right" if dowel.side == "left" else "left"]
    away = {value: _to_label(dowel, value) for value in (SACRUM, own, other)}
    words = f"sacrum {away[SACRUM]:.1f} mm, own hip bone {away[own]:.1f} mm, other {away[other]:.1f} mm from its centre"
    yield _check(dowel, "side", away[own] < away[other] and away[own] < WAY_IN_MM, words)
    inside = bones.sample(dowel.solid, dowel.surface).max()
    words = f"farthest point {inside:.2f} mm outside the bones' outer walls (negative: inside)"
    yield _check(dowel, "containment", inside <= 0.5 * dowel.case.labels.half_voxel_mm, words)
    offset = abs(float(bones.sample(dowel.sacrum, centre)[0] - bones.sample(dowel.hip, centre)[0])) / 2
    limit = OFFSET_MM + dowel.case.labels.half_voxel_mm
    words = f"centre {offset:.2f} mm from the mid-surface, at most {limit:.1f}"
    yield _check(dowel, "in-joint", offset <= limit, words)
    yield _free_way(dowel)


def _to_label(dowel: Dowel, value: int) -> float:
    near = dowel.bones
    return least_distance(dowel.centre[None], near.points(near.values == value))


def _free_way(dowel: Dowel) -> Check:
    """Check that the axis behind the implant meets no more bone than may be nibbled."""
    way = dowel.entry - np.arange(0.5, WAY_IN_MM, 0.5)[:, None] * dowel.direction
    labels = dowel.case.labels.around(way, 2 * NIBBLE_MM)
    bone = labels.distance(np.isin(labels.values, (SACRUM, HIPS[dowel.side])))
    deepest = -float(labels.sample(bone, way).min())
    limit = NIBBLE_MM + labels.half_voxel_mm
    words = f"axis up to {max(deepest, 0):.2f} mm deep in bone behind the implant, at most {limit:.1f}"
    return _check(dowel, "way-in", deepest <= limit, words)


def _thirds(dowel: Dowel) -> Iterator[Check]:
    """Centre in the middle third, no part in the inferior, by the bounds stored; and the bounds by the bones."""
    thirds = dowel.case.plan["sides"][dowel.side]["joint"]["thirds"]
    axis, bounds = point(thirds["axis_lps"]), np.asarray(thirds["bounds_mm"], float)
    steps = np.diff(bounds)
    even = bounds.shape == (4,) and steps.min() > 0 and np.ptp(steps) <= ROUNDING_MM
    yield _check(dowel, "thirds-even", even, f"bounds {bounds.tolist()}")
    height, lowest = float(dowel.centre @ axis), float((dowel.surface @ axis).min())
    middle = bounds[1] - ROUNDING_MM <= height <= bounds[2] + ROUNDING_MM
    words = f"centre at {height:.1f} mm, middle third from {bounds[1]:.1f} to {bounds[2]:.1f} mm"
    yield _check(dowel, "middle-third", middle and dowel.claims["third"] == "middle", words)
    words = f"lowest point at {lowest:.1f} mm, inferior third below {bounds[1]:.1f} mm"
    yield _check(dowel, "inferior-third", lowest >= bounds[1] - ROUNDING_MM, words)
    heights = dowel.case.joint_points[dowel.side] @ axis
    low, high = (float(heights.min()), float(heights.max())) if len(heights) else (np.inf, -np.inf)
    on_joint = low - THIRDS_SLACK_MM <= bounds[0] and bounds[3] <= high + THIRDS_SLACK_MM
    words = f"thirds from {bounds[0]:.1f} to {bounds[3]:.1f} mm, bones near each other from {low:.1f} to {high:.1f} mm"
    yield _check(dowel, "thirds-place", on_joint, words)


def _angles(dowel: Dowel) -> Iterator[Check]:
    """Claimed angles within their limits, as the points give them, and the C-arm's as they follow from them."""
    claimed = dowel.claims["angles_deg"]
    axial, tilt = float(claimed["axial_to_sagittal"]), float(claimed["cranial_tilt"])
    kept = AXIAL_DEG[0] <= axial + ROUNDING_DEG and axial - ROUNDING_DEG <= AXIAL_DEG[1]
    kept &= TILT_DEG[0] <= tilt + ROUNDING_DEG and tilt - ROUNDING_DEG <= TILT_DEG[1]
    yield _check(dowel, "angle-limits", kept, f"axial {axial:.1f}, cranial tilt {tilt:.1f} degrees")
    found_axial, found_tilt = _measured_angles(dowel)
    words = f"measured axial {found_axial:.1f}, tilt {found_tilt:.1f}; claimed {axial:.1f}, {tilt:.1f} degrees"
    close = abs(found_axial - axial) <= FRAME_DEG and abs(found_tilt - tilt) <= ROUNDING_DEG
    yield _check(dowel, "angles", close, words)
    view = dowel.claims["c_arm"]["down_the_implant"]
    lateral = 1 if dowel.side == "left" else -1
    off = max(abs(view["orbital_deg"] + lateral * axial), abs(view["tilt_deg"] + tilt))
    yield _check(dowel, "c-arm", off <= ROUNDING_DEG, f"down the implant: {off:.2f} degrees from the axis")


def _measured_angles(dowel: Dowel) -> tuple[float, float]:
    """Axial angle and tilt from the points, the thirds' axis as cranial and the hip bones' centres as left to right."""
    thirds = dowel.case.plan["sides"][dowel.side]["joint"]["thirds"]
    cranial = point(thirds["axis_lps"])
    centroids, sign = dowel.case.centroids, 1 if dowel.side == "left" else -1
    if set(HIPS.values()) <= set(centroids):
        left = centroids[HIPS["left"]] - centroids[HIPS["right"]]
    else:
        left = np.array([1.0, 0.0, 0.0])
    left = left - (left @ cranial) * cranial
    left /= np.linalg.norm(left)
    posterior = np.cross(cranial, left)
    d = dowel.direction
    axial = float(np.degrees(np.arctan2(sign * (d @ left), -(d @ posterior))))
    return axial, float(np.degrees(np.arcsin(np.clip(d @ cranial, -1, 1))))


def _depths(dowel: Dowel) -> Iterator[Check]:
    """Depth from the bone, and the skin on the axis."""
    depth, length = float(dowel.claims["depth_from_bone_mm"]), float(dowel.claims["implant"]["length_mm"])
    yield _check(dowel, "depth-from-bone", depth >= length - ROUNDING_MM, f"{depth:.1f} mm, implant {length:g} mm")
    skin = dowel.claims["skin_entry_lps_mm"]
    if skin is None:
        return
    away = dowel.tip - point(skin)
    off = float(np.linalg.norm(np.cross(away, dowel.direction)))
    reach, claimed = float(np.linalg.norm(away)), float(dowel.claims["depth_from_skin_mm"])
    words = f"skin {off:.2f} mm off the axis, tip {reach:.1f} mm deep, claimed {claimed:.1f} mm"
    good = off <= ROUNDING_MM and abs(reach - claimed) <= ROUNDING_MM and reach >= depth
    yield _check(dowel, "depth-from-skin", good and float(away @ dowel.direction) > 0, words)


def _grade(dowel: Dowel) -> Check:
    """Green from 5 mm, amber from 3 mm, by the smallest clearance: the neural one as measured here."""
    claimed = dowel.claims["clearance"]
    others = (claimed[name]["mm"] for name in ("ventral_cortex", "outer_iliac_cortex") if name in claimed)
    least = min(dowel.neural_centre_distance - dowel.case.keepout.half_voxel_mm, *others)
    on_the_line = abs(least - GREEN_MM) <= ROUNDING_MM
    grade, expected = dowel.claims["grade"], "green" if least >= GREEN_MM else "amber"
    words = f"{grade}, smallest clearance {least:.2f} mm"
    return _check(dowel, "grade", least >= NEURAL_MM and (grade == expected or on_the_line), words)


def _proofs(dowel: Dowel) -> Iterator[Check]:
    """Each bound is its distance to the witness less its terms, and no term is negative."""
    for name, claim in dowel.claims["clearance"].items():
        proof = claim.get("proof")
        if proof is None:
            continue
        terms = [float(proof[key]) for key in ("voxel_mm", "segmentation_margin_mm", "sampling_mm")]
        bound = float(proof["centre_mm"]) - sum(terms)
        words = f"{name}: {proof['centre_mm']:.3f} mm less {sum(terms):.3f} mm, claimed {claim['proven_mm']:.3f} mm"
        kept = min(terms) >= 0 and claim["proven_mm"] <= min(bound, claim["mm"]) + ROUNDING_MM
        yield _check(dowel, "proof", kept, words)


def _score(dowel: Dowel) -> Iterator[Check]:
    """Check the score against its terms and weights, and the terms that follow from what is checked above."""
    weights, terms = dowel.claims.get("weights"), dowel.claims["terms"]
    if not weights:
        return
    total = sum(float(weights[name]) * float(terms[name]) for name in terms)
    score = float(dowel.claims["score"])
    words = f"{score:.4f}, its terms give {total:.4f}, its weights sum to {sum(weights.values()):.4f}"
    even = abs(sum(weights.values()) - 1) <= SCORE_ROUNDING and set(weights) == set(terms)
    yield _check(dowel, "score", even and abs(total - score) <= SCORE_ROUNDING, words)
    for name, value in (("clearance", _clearance_term(dowel)), ("middle_third", _middle_term(dowel))):
        words = f"{name} {terms[name]:.3f}, found {value:.3f}"
        yield _check(dowel, "score-terms", abs(value - float(terms[name])) <= _term_slack(dowel, name), words)


def _term_slack(dowel: Dowel, name: str) -> float:
    """How far a term may be off: the search samples its clearances, a voxel's diagonal apart from the exact ones."""
    if name != "clearance":
        return TERM_ROUNDING
    return dowel.case.labels.half_diagonal_mm / (CLEARANCE_RAMP_MM[1] - CLEARANCE_RAMP_MM[0])


def _clearance_term(dowel: Dowel) -> float:
    claimed = dowel.claims["clearance"]
    others = (claimed[name]["mm"] for name in ("ventral_cortex", "outer_iliac_cortex") if name in claimed)
    least = min(dowel.neural_centre_distance - dowel.case.keepout.half_voxel_mm, *others)
    low, high = CLEARANCE_RAMP_MM
    return float(min(1.0, max(0.0, (least - low) / (high - low))))


def _middle_term(dowel: Dowel) -> float:
    thirds = dowel.case.plan["sides"][dowel.side]["joint"]["thirds"]
    _, low, high, _ = thirds["bounds_mm"]
    off = abs(float(dowel.centre @ point(thirds["axis_lps"])) - (low + high) / 2)
    return float(min(1.0, max(0.0, 1 - off / ((high - low) / 2))))
