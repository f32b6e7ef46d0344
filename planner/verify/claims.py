"""Checks of a candidate's other figures: depths, bites, bone removed, instruments, the score's terms, angles, skin.

The term that follows from the shell's mean HU is checked against that mean, `planner.verify.scan` checks the mean. The
articular share is held against the distance between the bones here, against the zones in `planner.verify.joint`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from planner.verify.case import AHEAD_MM, AROUND_MM, BEHIND_MM, HIPS, SACRUM, Dowel, is_neural, least_distance, point
from planner.verify.image import surface_of_cylinder, surface_of_prism
from planner.verify.model import Check

__all__ = ["check_claims"]

STEP_MM = 0.25
"""Steps along the axis."""

MARCH_MM = 1.0
"""Steps in which a planner may look for the way out of the bones: how far its depths may be off, beside the voxels."""

ROUNDING_MM, ROUNDING_DEG, TERM_ROUNDING = 0.02, 0.05, 0.005
"""Of figures rounded to a micrometre, of angles between such points, and of terms rounded to 1e-4."""

COPLANAR_ROUNDING = 0.15
"""Of the term that is worked out anew from the distances of the two bones: 0.3 mm or 1.5 degrees."""

NEURAL_MM, INSTRUMENT_STOP_MM = 3.0, 10.0
"""Instruments keep this from neural structures, and stop this far short of the anterior margin (section 4)."""

CANNULA_WALL_MM, PIN_MM, CANNULA_MM = 1.0, 3.2, 120.0
"""Wall of the cannula, diameter of the pin, and length of both where the skin is not in the scan: larger ones are
nearer to everything, so that less may be claimed for them but not more."""

ARTICULAR_GAP_MM, SHARE_ROUNDING = 8.0, 0.1
"""No joint is articular where its bones are farther apart than this; of a share of samples 2 mm apart."""

RAMPS = {
    "articular": (0.5, 1.0),
    "bite": (4.0, 1.0),
    "bone_quality": (130.0, 165.0),
    "entry_radius": (1.0, 5.0),
}
"""Where each term is 0 and 1 (section 5)."""

COPLANAR_DEG, CENTRED_MM = (15.0, 5.0), (3.0, 1.0)
"""The same of the two parts of the term for the mid-surface."""

Points = NDArray[np.float64]


def check_claims(dowel: Dowel) -> Iterator[Check]:
    """Check what `planner.verify.candidate` does not."""
    yield from _removed(dowel)
    yield from _bites(dowel)
    yield from _along(dowel)
    yield from _instruments(dowel)
    yield from _terms(dowel)
    yield from _in_the_joint(dowel)
    yield from _directions(dowel)
    yield from _skin(dowel)


def _check(dowel: Dowel, name: str, passed: bool, words: str) -> Check:
    return Check(name, dowel.side, bool(passed), f"{dowel.name}: {words}")


def _removed(dowel: Dowel) -> Iterator[Check]:
    """Count the bones' voxels whose centres lie within the implant; what rounding may move over its face is allowed."""
    if dowel.claims.get("bone_removed_mm3") is None:
        return
    labels = dowel.case.labels.around(dowel.surface, 1.0)
    centres = labels.points(np.isin(labels.values, (SACRUM, HIPS[dowel.side])))
    voxel = float(np.prod(labels.spacing_xyz))
    least, most = (voxel * float(_within(dowel, centres, off).sum()) for off in (-ROUNDING_MM, ROUNDING_MM))
    claimed = float(dowel.claims["bone_removed_mm3"])
    words = f"bone removed from {least:.1f} to {most:.1f} mm3, claimed {claimed:.1f} mm3"
    yield _check(dowel, "bone-removed", least - ROUNDING_MM <= claimed <= most + ROUNDING_MM, words)


def _within(dowel: Dowel, points: Points, off_mm: float) -> NDArray[np.bool_]:
    """Points within the implant, made larger by `off_mm`."""
    away = points - dowel.centre
    along = np.abs(away @ dowel.direction) <= dowel.length / 2 + off_mm
    section = dowel.claims.get("section")
    if section is None:
        aside = np.linalg.norm(away - (away @ dowel.direction)[:, None] * dowel.direction, axis=1)
        return np.asarray(along & (aside <= dowel.radius + off_mm))
    flat = away @ np.stack([point(axis) for axis in section["across_lps"]]).T
    corners = np.asarray(section["corners_mm"], float)
    edges = np.roll(corners, -1, axis=0) - corners
    outward = np.stack([edges[:, 1], -edges[:, 0]], axis=1) / np.linalg.norm(edges, axis=1, keepdims=True)
    beyond = flat @ outward.T - np.einsum("ij,ij->i", corners, outward)
    return np.asarray(along & (beyond.max(axis=1) <= off_mm))


def _bites(dowel: Dowel) -> Iterator[Check]:
    """Measure how deep the surface reaches into each bone."""
    claimed = dowel.claims.get("bite_mm")
    if claimed is None:
        return
    for name, field in (("sacrum", dowel.sacrum), ("hip", dowel.hip)):
        deepest = max(0.0, -float(dowel.bones.sample(field, dowel.surface).min()))
        words = f"{deepest:.2f} mm into the {name}, claimed {claimed[name]:.2f} mm"
        yield _check(dowel, "bite", abs(deepest - claimed[name]) <= dowel.bones.half_diagonal_mm, words)


def _along(dowel: Dowel) -> Iterator[Check]:
    """Follow the axis out of the bones: behind to the joint's mouth, before to the anterior margin at most."""
    slack = MARCH_MM + dowel.bones.half_diagonal_mm
    depth = float(dowel.claims["depth_from_bone_mm"])
    found = _ways_out(dowel, -dowel.direction, BEHIND_MM)
    words = f"tip {', '.join(f'{mm:.1f}' for mm in found)} mm deep, claimed {depth:.1f} mm"
    yield _check(dowel, "depth-from-bone", bool(np.abs(found - depth).min() <= slack), words)
    claims = dowel.claims["clearance"]
    if "anterior_margin" not in claims:
        return
    ahead, witness = float(claims["anterior_margin"]["mm"]), point(claims["anterior_margin"]["at_lps_mm"])
    leaves = float(_ways_out(dowel, dowel.direction, AHEAD_MM)[-1])
    off = float(np.linalg.norm(dowel.tip + ahead * dowel.direction - witness))
    words = f"{ahead:.1f} mm ahead, bones end {leaves:.1f} mm ahead, witness {off:.2f} mm off"
    yield _check(dowel, "anterior-margin", off <= ROUNDING_MM and ahead <= leaves + slack, words)
    stop = claims["instrument_stop"]
    short = float((witness - point(stop["at_lps_mm"])) @ dowel.direction)
    good = abs(short - stop["mm"]) <= ROUNDING_MM and short >= max(ahead, INSTRUMENT_STOP_MM) - ROUNDING_MM
    yield _check(dowel, "instrument-stop", good, f"{short:.2f} mm short of the margin, claimed {stop['mm']:.2f} mm")


def _ways_out(dowel: Dowel, way: Points, reach: float) -> Points:
    """Distances from the tip to where a ray leaves the bones: for `MARCH_MM` or more, and for less before that.

    A planner that steps so far may pass a crack in the labels, or stop at it.
    """
    steps = np.arange(0.0, reach, STEP_MM)
    outside = np.pad(dowel.bones.sample(dowel.solid, dowel.tip + steps[:, None] * way) > 0, 1)
    outside[0] = False
    starts, ends = np.flatnonzero(~outside[:-1] & outside[1:]), np.flatnonzero(outside[:-1] & ~outside[1:])
    lasting = ends - starts >= MARCH_MM / STEP_MM
    if not lasting.any():
        return np.append(steps[starts], reach)
    return np.asarray(steps[starts[: lasting.argmax() + 1]])


def _instruments(dowel: Dowel) -> Iterator[Check]:
    """Measure cannula, distractor and pin, from the ends that the plan claims, to neural keep-outs."""
    claims = dowel.claims["clearance"]
    mouth = dowel.tip - float(dowel.claims["depth_from_bone_mm"]) * dowel.direction
    skin = dowel.claims["skin_entry_lps_mm"]
    outer = mouth - CANNULA_MM * dowel.direction if skin is None else point(skin)
    stop = point(claims["instrument_stop"]["at_lps_mm"]) if "instrument_stop" in claims else dowel.tip
    tools = {
        "access_neural": _sleeve(dowel, outer, mouth, CANNULA_WALL_MM),
        "distractor_neural": _sleeve(dowel, mouth, stop, 0.0),
        "pin_neural": surface_of_cylinder(outer, stop, PIN_MM / 2),
    }
    for name, surface in tools.items():
        if name not in claims:
            continue
        near = dowel.case.keepout.around(surface, 2 * AROUND_MM)
        labels = dowel.case.keepout
        mm = least_distance(surface, near.points(is_neural(near.values))) - labels.half_voxel_mm
        claimed = float(claims[name]["mm"])
        words = f"measured {mm:.2f} mm, claimed {claimed:.2f} mm, at least {NEURAL_MM:g} mm"
        yield _check(dowel, name.replace("_", "-"), NEURAL_MM <= claimed <= mm + ROUNDING_MM, words)


def _sleeve(dowel: Dowel, start: Points, end: Points, wall_mm: float) -> Points:
    """Surface of the implant's own outline and a wall, between two points of its axis."""
    section = dowel.claims.get("section")
    if section is None:
        return surface_of_cylinder(start, end, dowel.radius + wall_mm)
    corners = np.asarray(section["corners_mm"], float)
    half = np.abs(corners).max(axis=0)
    across = np.stack([point(axis) for axis in section["across_lps"]])
    return surface_of_prism(start, end, corners * (half + wall_mm) / half @ across)


def _ramp(value: float, ends: tuple[float, float]) -> float:
    return float(np.clip((value - ends[0]) / (ends[1] - ends[0]), 0, 1))


def _terms(dowel: Dowel) -> Iterator[Check]:
    """Check the terms that follow from figures beside them."""
    one, bite = dowel.claims, dowel.claims.get("bite_mm")
    figures = {
        "articular": float(one["articular_share"]),
        "bone_quality": float(one["hu_shell_mean"]),
        "entry_radius": float(one["safe_entry_radius_mm"]),
    }
    if bite is not None:
        figures["bite"] = abs(float(bite["sacrum"]) - float(bite["hip"]))
    for name, figure in figures.items():
        value, claimed = _ramp(figure, RAMPS[name]), float(one["terms"][name])
        words = f"{name} of {figure:.3f} gives {value:.3f}, claimed {claimed:.3f}"
        yield _check(dowel, "score-terms", abs(value - claimed) <= TERM_ROUNDING, words)


def _in_the_joint(dowel: Dowel) -> Iterator[Check]:
    """Check offset and angle to the mid-surface, and how much of the axis can be articular, by the bones' distances."""
    along = np.linspace(-0.5, 0.5, 2 * round(dowel.length / 4) + 1) * dowel.length
    places = dowel.centre + along[:, None] * dowel.direction
    to_sacrum, to_hip = (dowel.bones.sample(field, places) for field in (dowel.sacrum, dowel.hip))
    if not np.isfinite([to_sacrum, to_hip]).all():
        yield _check(dowel, "articular-share", False, "beside the axis there are not both bones")
        return
    offset = (to_sacrum - to_hip) / 2
    angle = float(np.degrees(np.arcsin(min(1.0, abs(float(along @ offset / (along @ along)))))))
    term = min(_ramp(angle, COPLANAR_DEG), _ramp(abs(float(offset[len(offset) // 2])), CENTRED_MM))
    claimed = float(dowel.claims["terms"]["coplanar"])
    words = f"coplanar {claimed:.3f}, found {term:.3f}"
    yield _check(dowel, "score-terms", abs(term - claimed) <= COPLANAR_ROUNDING, words)
    most = float((to_sacrum + to_hip <= ARTICULAR_GAP_MM).mean())
    share = float(dowel.claims["articular_share"])
    words = f"{share:.2f} claimed, bones near each other on {most:.2f} of the axis"
    yield _check(dowel, "articular-share", share <= most + SHARE_ROUNDING, words)


def _directions(dowel: Dowel) -> Iterator[Check]:
    """Check the angles in the scanner, which the points give."""
    claimed = dowel.claims.get("angles_in_scan_deg")
    if claimed is None:
        return
    lateral, d = (1 if dowel.side == "left" else -1), dowel.direction
    axial = float(np.degrees(np.arctan2(lateral * d[0], -d[1])))
    tilt = float(np.degrees(np.arcsin(np.clip(d[2], -1, 1))))
    off = max(abs(axial - claimed["axial_to_sagittal"]), abs(tilt - claimed["cranial_tilt"]))
    yield _check(dowel, "angles-in-scan", off <= ROUNDING_DEG, f"axial {axial:.1f}, tilt {tilt:.1f} degrees")


def _skin(dowel: Dowel) -> Iterator[Check]:
    """Check the skin entry from the median plane and from the PSIS, in the frame that the plan states."""
    claimed, frame = dowel.claims.get("skin_place_mm"), dowel.case.plan.get("pelvic_frame")
    if claimed is None or frame is None:
        return
    lateral = (1 if dowel.side == "left" else -1) * point(frame["left_lps"])
    skin = point(dowel.claims["skin_entry_lps_mm"])
    found = {"from_midline": float((skin - point(frame["origin_lps_mm"])) @ lateral)}
    psis = dowel.case.plan["sides"][dowel.side]["landmarks"].get("psis_lps_mm")
    if psis is not None:
        away = skin - point(psis)
        axes = {"lateral": lateral, "posterior": point(frame["posterior_lps"]), "cranial": point(frame["cranial_lps"])}
        found |= {f"{name}_of_psis": float(away @ axis) for name, axis in axes.items()}
    off = max(abs(mm - float(claimed[name])) for name, mm in found.items())
    yield _check(dowel, "skin-place", off <= ROUNDING_MM, f"{off:.2f} mm from where the skin entry is")
