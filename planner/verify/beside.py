"""Checks of what is planned beside the implant: lateral rods, and the needle of an injection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.verify.case import HIPS, SACRUM, SOFT, Case, is_neural, least_distance, point
from planner.verify.image import Image, surface_of_cylinder, surface_of_prism
from planner.verify.model import Check

__all__ = ["check_injection", "check_lateral"]

NEURAL_MM, NOTCH_MM = 3.0, 10.0
"""Rod or needle to any neural structure, and to the greater sciatic notch (clinical notes, section 4)."""

VENTRAL_MM = 3.0
"""Rod to the ventral cortex of the sacrum."""

SPACING_MM = 13.0
"""Neighbouring rods, axis to axis (clinical notes, section 6)."""

IN_SACRUM_MM = 12.0
"""Length of each rod in the sacrum."""

PROUD_MM = 8.0
"""A rod's near end lies at most this far outside the ilium."""

CLOSING_MM = 2.5
"""The bones with gaps of up to twice this closed are the solid that holds the rods."""

NEEDLE_MM = 75.0
"""Needle behind the tip that is held against bone where the skin is not in the scan."""

BONES = (SACRUM, *HIPS.values(), 4)
"""Labels that a needle may not meet: sacrum, hip bones, L5 and above."""

NEAR_MM, REACH_MM = 20.0, 40.0
"""Boxes round a rod in which bones, and keep-outs, are looked for."""

ROUNDING_MM, ROUNDING_DEG, SQUARE = 0.02, 0.05, 1e-3
"""Rounding of the plan's figures, and what lies between samples; cosine of axes that are called square."""

LENGTH_MM = 0.6
"""Lengths within a label, which are counted in samples of a quarter of a millimetre."""

VOLUME_SHARE, VOLUME_VOXELS = 0.02, 8
"""Volumes: voxels on the rim may fall to either side of a rounded outline."""

STEP_MM = 0.25
"""Spacing of samples on an axis."""

THIRD_OF = {"posterior-inferior": 0, "middle": 1}
"""Slab of the thirds, from below, that a needle's tip lies in."""

PROPOSED = ("planned", "unverified")
"""Status of what is proposed."""

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Thing:
    """A rod or needle among the labels."""

    case: Case
    side: str
    name: str
    claims: Mapping[str, Any]
    near_lps: Points
    tip_lps: Points

    @property
    def length(self) -> float:
        """From its near end to its tip."""
        return float(np.linalg.norm(self.tip_lps - self.near_lps))

    @property
    def direction(self) -> Points:
        """Unit vector of insertion."""
        return np.asarray((self.tip_lps - self.near_lps) / self.length)

    @cached_property
    def surface(self) -> Points:
        """Dense points of its surface."""
        section = self.claims.get("section")
        if section is None:
            claimed = self.claims.get("implant", self.claims)["diameter_mm"]
            return surface_of_cylinder(self.near_lps, self.tip_lps, float(claimed) / 2)
        return surface_of_prism(self.near_lps, self.tip_lps, self.corners)

    @cached_property
    def corners(self) -> Points:
        """Corners of a rod's section, as vectors from its axis.

        Raises
        ------
        ValueError
            If its axes are not square to each other and to the rod.
        """
        section = self.claims["section"]
        across = np.stack([point(axis) for axis in section["across_lps"]])
        if np.abs(np.vstack([across, self.direction]) @ across.T - np.eye(3, 2)).max() > SQUARE:
            raise ValueError("the axes of a cross-section are not square to each other and to the rod")
        return np.asarray(np.asarray(section["corners_mm"], float) @ across)

    def check(self, name: str, passed: bool, words: str) -> Check:
        """One check of it."""
        return Check(name, self.side, bool(passed), f"{self.name}: {words}")

    def labels_on_axis(self) -> tuple[Points, NDArray[np.uint8]]:
        """Sample the axis from the near end: distances, and labels."""
        steps = np.arange(STEP_MM / 2, self.length, STEP_MM)
        line = self.near_lps + steps[:, None] * self.direction
        image = self.case.labels.around(line, 5.0)
        index = np.rint(image.index_zyx(line)).astype(int)
        index = np.clip(index, 0, np.array(image.values.shape) - 1)
        return steps, image.values[tuple(index.T)]


def check_lateral(case: Case, side: str) -> Iterator[Check]:
    """Check the lateral rods of a side, if there are any."""
    plan = case.plan["sides"][side].get("lateral")
    if plan is None:
        return
    rods = [Thing(case, side, f"rod {claims['number']}", claims, *_ends(claims)) for claims in plan["rods"]]
    proposed = plan["status"] in PROPOSED
    right = bool(rods) == proposed and (plan["status"] == "planned" or bool(plan["reason"]))
    yield Check("rods", side, right, f"{len(rods)} with status {plan['status']!r}")
    numbers = [claims["number"] for claims in plan["rods"]]
    yield Check("rod-numbers", side, numbers == list(range(1, len(rods) + 1)), f"found {numbers}")
    for rod in rods:
        yield from _rod(rod)
    if rods:
        yield from _together(plan, rods)


def _ends(claims: Mapping[str, Any]) -> tuple[Points, Points]:
    return point(claims["implant_entry_lps_mm"]), point(claims["implant_tip_lps_mm"])


def _rod(rod: Thing) -> Iterator[Check]:
    implant = rod.claims["implant"]
    length, diameter = float(implant["length_mm"]), float(implant["diameter_mm"])
    words = f"ends {rod.length:.2f} mm apart, claimed {length:g} mm"
    yield rod.check("rod-size", abs(rod.length - length) <= ROUNDING_MM and diameter > 0, words)
    if rod.claims.get("section"):
        within = _inscribed(rod.corners)
        words = f"circle within its section {2 * within:.2f} mm wide, claimed {diameter:g}"
        yield rod.check("rod-section", abs(2 * within - diameter) <= ROUNDING_MM, words)
    yield from _neural(rod)
    yield from _witness(rod, "ventral_cortex", VENTRAL_MM, rod.case.labels.half_voxel_mm)
    yield from _witness(rod, "sciatic_notch", NOTCH_MM, 0.0)
    yield from _through_joint(rod)
    yield _contained(rod)
    yield _removed(rod)
    yield from _proofs(rod)
    yield from _skin(rod, rod.claims["skin_entry_lps_mm"])


def _inscribed(corners: Points) -> float:
    """Radius of the circle about the axis within a section."""
    edges = np.roll(corners, -1, axis=0) - corners
    areas = np.linalg.norm(np.cross(corners, edges), axis=1)
    return float((areas / np.linalg.norm(edges, axis=1)).min())


def _neural(thing: Thing) -> Iterator[Check]:
    """Check the clearance as measured, as proven, and its limit."""
    claim, near = thing.claims["clearance"]["neural"], thing.case.keepout.around(thing.surface, REACH_MM)
    centre = least_distance(thing.surface, near.points(is_neural(near.values)))
    mm, bound = centre - near.half_voxel_mm, centre - near.half_diagonal_mm
    words = f"measured {mm:.2f} mm, claimed {claim['mm']:.2f}, proven {claim['proven_mm']:.2f} of {bound:.2f} mm"
    kept = abs(mm - claim["mm"]) <= ROUNDING_MM and claim["proven_mm"] <= min(bound, claim["mm"]) + ROUNDING_MM
    yield thing.check("neural", kept, words)
    yield thing.check("neural-limit", mm >= NEURAL_MM, f"{mm:.2f} mm, at least {NEURAL_MM:g} mm")
    claim = thing.claims["clearance"].get("soft")
    if claim is not None:
        mm = least_distance(thing.surface, near.points(near.values == SOFT)) - near.half_voxel_mm
        words = f"measured {mm:.2f} mm, claimed {claim['mm']:.2f} mm"
        # farther off than the box reaches, or what the needle leaves behind: no nearer than claimed
        yield thing.check("soft", mm >= claim["mm"] - ROUNDING_MM and mm > 0, words)


def _witness(thing: Thing, name: str, limit_mm: float, half_mm: float) -> Iterator[Check]:
    """Check a clearance against its own witness point and its limit."""
    claim = thing.claims["clearance"].get(name)
    if claim is not None:
        away = least_distance(thing.surface, point(claim["at_lps_mm"])[None]) - half_mm
        words = f"witness at {away:.2f} mm, claimed {claim['mm']:.2f} mm, at least {limit_mm:g} mm"
        kept = abs(away - claim["mm"]) <= ROUNDING_MM and claim["mm"] >= limit_mm - ROUNDING_MM
        yield thing.check(name.replace("_", "-"), kept and claim["proven_mm"] <= claim["mm"], words)


def _through_joint(rod: Thing) -> Iterator[Check]:
    """From outside the own ilium, through it, into the sacrum; and so far as claimed."""
    steps, labels = rod.labels_on_axis()
    hip, sacrum = labels == HIPS[rod.side], labels == SACRUM
    other = HIPS["right" if rod.side == "left" else "left"]
    crossed = hip.any() and sacrum.any() and steps[hip].mean() < steps[sacrum].mean() and not (labels == other).any()
    yield rod.check("across-joint", crossed and bool(sacrum[-1]), "own ilium first, then the sacrum, where the tip is")
    proud = float(steps[hip][0]) if hip.any() else np.inf
    words = f"near end {proud:.2f} mm outside the ilium, claimed {rod.claims['proud_mm']:.2f}"
    kept = abs(proud - rod.claims["proud_mm"]) <= LENGTH_MM and 0 < proud <= PROUD_MM
    yield rod.check("proud", kept, words)
    for name, where in (("in_sacrum_mm", sacrum), ("in_ilium_mm", hip)):
        mm = STEP_MM * float(where.sum())
        words = f"{mm:.2f} mm, claimed {rod.claims[name]:.2f}"
        kept = abs(mm - rod.claims[name]) <= LENGTH_MM
        yield rod.check(name.removesuffix("_mm").replace("_", "-"), kept, words)
    mm = STEP_MM * float(sacrum.sum())
    yield rod.check("in-sacrum-limit", mm >= IN_SACRUM_MM - LENGTH_MM, f"{mm:.2f} mm, at least {IN_SACRUM_MM:g} mm")


def _contained(rod: Thing) -> Check:
    """Whether no part beyond the joint pierces an outer wall."""
    beyond = (rod.surface - point(rod.claims["crossing_lps_mm"])) @ rod.direction >= 0
    image = rod.case.labels.around(rod.surface[beyond], NEAR_MM)
    bone = image.distance(np.isin(image.values, (SACRUM, HIPS[rod.side])))
    inside = image.sample(_solid(image, bone), rod.surface[beyond]).max()
    words = f"farthest point {inside:.2f} mm outside the bones' outer walls (negative: inside)"
    return rod.check("contained", inside <= 0.5 * image.half_voxel_mm, words)


def _solid(image: Image, bone: Points) -> Points:
    """Signed distance to the closing of the bones by a ball."""
    return image.distance(image.distance(bone <= CLOSING_MM) <= -CLOSING_MM)


def _removed(rod: Thing) -> Check:
    """Bone within the rod, by counting voxels."""
    image, found = rod.case.labels.around(rod.surface, 2.0), {}
    voxel = float(np.prod(image.spacing_xyz))
    for name, value in (("sacrum", SACRUM), ("hip", HIPS[rod.side])):
        found[name] = voxel * float(_within(rod, image.points(image.values == value)).sum())
    claimed = rod.claims["bone_removed_mm3"]
    words = ", ".join(f"{name} {found[name]:.0f} mm3, claimed {claimed[name]:.0f}" for name in found)
    kept = all(abs(found[n] - claimed[n]) <= VOLUME_SHARE * found[n] + VOLUME_VOXELS * voxel for n in found)
    return rod.check("bone-removed", kept, words)


def _within(rod: Thing, points: Points) -> NDArray[np.bool_]:
    """Which points lie in the rod: between its ends, and on the inner side of each edge of its section."""
    away = points - rod.near_lps
    along = away @ rod.direction
    inside = (along >= 0) & (along <= rod.length)
    if not rod.claims.get("section"):
        radial = np.linalg.norm(away - along[:, None] * rod.direction, axis=1)
        return np.asarray(inside & (radial <= float(rod.claims["implant"]["diameter_mm"]) / 2))
    for corner, following in zip(rod.corners, np.roll(rod.corners, -1, axis=0), strict=True):
        normal = np.cross(following - corner, rod.direction)
        inward = -np.sign(normal @ corner) * normal
        inside &= (away - corner) @ inward >= 0
    return np.asarray(inside)


def _proofs(thing: Thing) -> Iterator[Check]:
    """Each bound is its distance to the witness less its terms, and no term is negative."""
    for name, claim in thing.claims["clearance"].items():
        proof = claim["proof"]
        terms = [float(proof[key]) for key in ("voxel_mm", "segmentation_margin_mm", "sampling_mm")]
        bound = float(proof["centre_mm"]) - sum(terms)
        words = f"{name}: {proof['centre_mm']:.3f} mm less {sum(terms):.3f}, claimed {claim['proven_mm']:.3f} mm"
        kept = min(terms) >= 0 and claim["proven_mm"] <= min(bound, claim["mm"]) + ROUNDING_MM
        yield thing.check("proof", kept, words)


def _skin(thing: Thing, skin: Any) -> Iterator[Check]:
    """Check that the skin lies on the axis behind the near end, and so far from the tip as claimed."""
    if skin is None:
        return
    away = thing.tip_lps - point(skin)
    off, deep = float(np.linalg.norm(np.cross(away, thing.direction))), float(away @ thing.direction)
    claimed = float(thing.claims["depth_from_skin_mm"])
    words = f"skin {off:.2f} mm off the axis, tip {deep:.1f} mm deep, claimed {claimed:.1f} mm"
    kept = off <= 2 * ROUNDING_MM and abs(deep - claimed) <= ROUNDING_MM and deep >= thing.length - ROUNDING_MM
    yield thing.check("skin", kept, words)


def _together(plan: Mapping[str, Any], rods: list[Thing]) -> Iterator[Check]:
    """Parallel, apart as claimed and enough, and their sums."""
    side, way = rods[0].side, rods[0].direction
    turned = max(float(np.degrees(np.arccos(np.clip(rod.direction @ way, -1, 1)))) for rod in rods)
    yield Check("parallel", side, turned <= ROUNDING_DEG, f"at most {turned:.2f} degrees to the first")
    flat = [rod.tip_lps - (rod.tip_lps @ way) * way for rod in rods]
    gaps = [float(np.linalg.norm(a - b)) for a, b in pairwise(flat)]
    least = min((float(np.linalg.norm(a - b)) for k, a in enumerate(flat) for b in flat[:k]), default=np.inf)
    words = f"found {[round(gap, 1) for gap in gaps]}, claimed {plan['spacing_mm']}, least {least:.1f} mm"
    close = len(gaps) == len(plan["spacing_mm"]) and np.allclose(gaps, plan["spacing_mm"], atol=2 * ROUNDING_MM)
    yield Check("spacing", side, bool(close) and least >= SPACING_MM - ROUNDING_MM, words)
    for name in ("sacrum", "hip"):
        total = sum(float(rod.claims["bone_removed_mm3"][name]) for rod in rods)
        claimed = float(plan["bone_removed_mm3"][name])
        words = f"{name}: rods sum to {total:.1f} mm3, claimed {claimed:.1f}"
        yield Check("bone-removed-sum", side, abs(total - claimed) <= 0.1 * len(rods), words)
    yield Check("cpt", side, plan["cpt"] == "27279", f"found {plan['cpt']!r}: rods cross the joint")
    yield _aim(rods[0], 90.0 - float(plan["to_anterior_deg"]), float(plan["cranial_tilt_deg"]), plan["c_arm"], -1)


def _aim(thing: Thing, axial_deg: float, tilt_deg: float, view: Mapping[str, float], lateral: int) -> Check:
    """Check tilt and C-arm against the points; the axial angle, from the sagittal plane, against the C-arm.

    `lateral` is 1 where the tip points away from the midline for a positive angle, -1 for towards it.
    """
    axis = point(thing.case.plan["sides"][thing.side]["joint"]["thirds"]["axis_lps"])
    found = float(np.degrees(np.arcsin(np.clip(thing.direction @ axis, -1, 1))))
    sign = lateral * (1 if thing.side == "left" else -1)
    orbital = (view["orbital_deg"] + sign * axial_deg + 180.0) % 360.0 - 180.0
    off = max(abs(found - tilt_deg), abs(view["tilt_deg"] + tilt_deg), abs(orbital))
    words = f"tilt {found:.2f}, claimed {tilt_deg:.2f} degrees; {off:.2f} degrees between axis, angles and C-arm"
    return thing.check("angles", off <= ROUNDING_DEG, words)


def check_injection(case: Case, side: str) -> Iterator[Check]:
    """Check the needle of a side, if there is one."""
    plan = case.plan["sides"][side].get("injection")
    if plan is None:
        return
    proposed = plan["status"] in PROPOSED
    right = (plan["tip_lps_mm"] is not None) == proposed and (plan["status"] == "planned" or bool(plan["reason"]))
    yield Check("needle", side, right, f"status {plan['status']!r}")
    if proposed:
        yield from _needle(case, side, plan)


def _needle(case: Case, side: str, plan: Mapping[str, Any]) -> Iterator[Check]:
    tip, edge, skin = point(plan["tip_lps_mm"]), point(plan["edge_lps_mm"]), plan["skin_entry_lps_mm"]
    way = (tip - edge) / np.linalg.norm(tip - edge)
    outer = tip - NEEDLE_MM * way if skin is None else point(skin)
    needle = Thing(case, side, "needle", plan, outer, tip)
    inside = float(np.linalg.norm(tip - edge))
    words = f"edge {inside:.2f} mm before the tip, claimed {plan['in_joint_mm']:.2f}"
    yield needle.check("needle-depth", abs(inside - plan["in_joint_mm"]) <= ROUNDING_MM, words)
    yield from _neural(needle)
    yield from _witness(needle, "sciatic_notch", NOTCH_MM, 0.0)
    yield from _proofs(needle)
    yield from _skin(needle, skin)
    yield _free(needle, edge)
    yield from _between(needle, edge)
    angles = plan["angles_deg"]
    yield _aim(needle, float(angles["axial_to_sagittal"]), float(angles["cranial_tilt"]), plan["c_arm"], 1)


def _free(needle: Thing, edge: Points) -> Check:
    """No bone from the skin to the joint's edge: as far as claimed, and proven."""
    radius, claim = float(needle.claims["diameter_mm"]) / 2, needle.claims["clearance"]["bone"]
    behind = surface_of_cylinder(needle.near_lps, edge, radius)
    image = needle.case.labels.around(behind, NEAR_MM)
    mm = least_distance(behind, image.points(np.isin(image.values, BONES))) - image.half_voxel_mm
    words = f"{mm:.2f} mm from bone behind the joint, claimed {claim['mm']:.2f}, proven {claim['proven_mm']:.2f}"
    return needle.check("needle-free", abs(mm - claim["mm"]) <= ROUNDING_MM and claim["proven_mm"] > 0, words)


def _between(needle: Thing, edge: Points) -> Iterator[Check]:
    """Between the bones from the edge to the tip, in the third that is claimed."""
    steps = np.linspace(0, 1, int(np.linalg.norm(needle.tip_lps - edge) / STEP_MM) + 2)[:, None]
    line = edge + steps * (needle.tip_lps - edge)
    image = needle.case.labels.around(line, NEAR_MM)
    sacrum, hip = (image.distance(image.values == value) for value in (SACRUM, HIPS[needle.side]))
    deepest = -float(min(image.sample(sacrum, line).min(), image.sample(hip, line).min()))
    words = f"axis up to {max(deepest, 0):.2f} mm deep in a bone's label between edge and tip"
    yield needle.check("needle-between", deepest <= 2 * image.half_voxel_mm, words)
    tip = needle.tip_lps[None]
    off = abs(float(image.sample(sacrum, tip)[0] - image.sample(hip, tip)[0])) / 2
    yield needle.check("needle-tip", off <= 2 * image.half_voxel_mm, f"tip {off:.2f} mm off the middle of the joint")
    thirds = needle.case.plan["sides"][needle.side]["joint"]["thirds"]
    height, bounds = float(needle.tip_lps @ point(thirds["axis_lps"])), np.asarray(thirds["bounds_mm"], float)
    third = int(np.clip(np.searchsorted(bounds[1:3], height), 0, 2))
    words = f"tip at {height:.1f} mm of thirds {bounds.round(1).tolist()}, entry {needle.claims['entry']!r}"
    yield needle.check("needle-third", THIRD_OF.get(needle.claims["entry"]) == third, words)
