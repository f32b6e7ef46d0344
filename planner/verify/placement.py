"""Checks of what is claimed of an implant that ends elsewhere: safe entry radius, breach probabilities, cortices."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, qmc

from planner.verify.case import least_distance
from planner.verify.model import Check
from planner.verify.moved import Moved

__all__ = ["check_placement"]

MODELS = {"navigated": (2.85, 3.0), "fluoroscopic": (5.0, 4.4)}
"""Mean error at the tip, mm, and of the axis, degrees."""

MAXWELL_MEAN, RAYLEIGH_MEAN, NORMAL_P95 = math.sqrt(8 / math.pi), math.sqrt(math.pi / 2), 1.96
"""Mean length of a standard normal vector in three and in two dimensions; 95th percentile of a number's size."""

REPLICATES, EACH, SEED = 8, 128, 100
"""Halton points, not the planner's Sobol points; scrambled so often, with fixed seeds."""

TRIED = 512
"""Placements behind a claimed probability: a share of them is known to one of them at best."""

STANDARD_ERRORS = 4.0
"""Of the two estimates together, by which they may differ."""

SHIFT_MM = 0.25
"""What the two may see otherwise: the search's samples lie 2 mm apart, these 1.5, in fields of the same voxels."""

ERROR_RATIO = 8.0
"""Two standard errors of eight replicates each differ by no more than this (F distribution, 7 and 7 degrees of freedom,
beyond 1 in 100 000: square root of 36)."""

DIRECTIONS, MOST_RADIUS_MM = 32, 5.0
"""In which the entry is moved, and how far at most."""

RADIUS_MM, LEFT_MM = 0.25, 0.6
"""Of a claimed radius, and of what is left of a constraint there: the search has 12 points on a ring of the cannula,
and no more than each 1.5 mm a ring. On real scans 0.1 mm less was left, beside the straight edges of made slabs 0.5."""

WALLS = {"ventral_cortex": "ventral", "outer_iliac_cortex": "outer"}
"""Clearances to walls that are found a second time."""

Points = NDArray[np.float64]


def check_placement(moved: Moved) -> Iterator[Check]:
    """Check one candidate."""
    yield from _walls(moved)
    yield _radius(moved)
    yield from _breach(moved)


def _check(moved: Moved, name: str, passed: bool, words: str) -> Check:
    return Check(name, moved.dowel.side, bool(passed), f"{moved.dowel.name}: {words}")


def _walls(moved: Moved) -> Iterator[Check]:
    """No part of a cortex is nearer than the nearest that is claimed."""
    half = moved.around.image.half_voxel_mm
    for name, wall in WALLS.items():
        claim = moved.dowel.claims["clearance"].get(name)
        if claim is None:
            continue
        mm = least_distance(moved.dowel.surface, moved.around.walls[wall]) - half
        words = f"nearest found at {mm:.2f} mm, claimed {claim['mm']:.2f} mm"
        yield _check(moved, f"{name.replace('_', '-')}-nearest", mm >= claim["mm"] - half, words)


def _radius(moved: Moved) -> Check:
    """At the claimed radius every constraint holds, and just beyond it one ends."""
    claimed = float(moved.dowel.claims["safe_entry_radius_mm"])
    if not 0 <= claimed <= MOST_RADIUS_MM:
        return _check(moved, "safe-entry-radius", False, f"{claimed:.2f} mm, found only from 0 to {MOST_RADIUS_MM:g}")
    inner, left = _least_left(moved, max(0.0, claimed - RADIUS_MM))
    outer, beyond = _least_left(moved, claimed + RADIUS_MM)
    words = f"claimed {claimed:.2f} mm; before it {left:.2f} mm left of {inner}, beyond it {beyond:.2f} of {outer}"
    ends = beyond <= LEFT_MM or claimed >= MOST_RADIUS_MM
    return _check(moved, "safe-entry-radius", left >= -LEFT_MM and ends, words)


def _least_left(moved: Moved, radius_mm: float) -> tuple[str, float]:
    left = moved.left(moved.aside(radius_mm, DIRECTIONS))
    return min(((name, float(slack.min())) for name, slack in left.items()), key=lambda one: one[1])


def _breach(moved: Moved) -> Iterator[Check]:
    """Both probabilities, and the errors that are claimed of them, against draws of our own."""
    claims: Mapping[str, float] = moved.dowel.claims["breach_probability"]
    for model in MODELS:
        margin = breach_margins(moved, model)
        low, here, high = (_share(margin, shift) for shift in (-SHIFT_MM, 0.0, SHIFT_MM))
        claimed, error = float(claims[model]), float(claims[f"{model}_se"])
        likely = math.sqrt(claimed * (1 - claimed) / TRIED)
        slack = STANDARD_ERRORS * math.hypot(here[1], min(error, likely)) + 1 / TRIED
        words = f"{model} {here[0]:.4f}, claimed {claimed:.4f}, from {low[0] - slack:.4f} to {high[0] + slack:.4f}"
        yield _check(moved, "breach-probability", low[0] - slack <= claimed <= high[0] + slack, words)
        most = ERROR_RATIO * max(here[1], likely) + 1 / TRIED
        least = min(here[1], likely) / ERROR_RATIO - 1 / TRIED
        words = f"{model} {here[1]:.4f}, claimed {error:.4f}"
        yield _check(moved, "breach-standard-error", least <= error <= most, words)


def breach_margins(moved: Moved, model: str) -> Points:
    """How far placements are from a breach, mm, negative where there is one: ``(REPLICATES, EACH)``."""
    mean_mm, mean_deg = MODELS[model]
    normal, dowel = _normal_points(), moved.dowel
    tips = dowel.tip + normal[:, :3] * (mean_mm / MAXWELL_MEAN)
    turns = np.tan(np.radians(normal[:, 3:5] * (mean_deg / RAYLEIGH_MEAN)))
    ways = dowel.direction + turns @ moved.here.axes[0, 1:]
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    stated = dowel.case.plan["sides"][dowel.side]["joint"].get("outline_error_mm")
    nearer = normal[:, 5] * (float(stated or 0.0) / NORMAL_P95)
    poses = moved.poses(tips - 0.5 * dowel.length * ways, ways)
    margins = moved.breach_margin(poses, nearer + SHIFT_MM) - nearer
    return np.asarray(margins.reshape(REPLICATES, EACH))


def _share(margins: Points, shift_mm: float) -> tuple[float, float]:
    """Share of placements within a shift of a breach, and its standard error."""
    shares = (margins <= shift_mm).mean(axis=1)
    return float(shares.mean()), float(shares.std(ddof=1)) / math.sqrt(len(shares))


@cache
def _normal_points() -> Points:
    drawn = [qmc.Halton(6, scramble=True, rng=SEED + k).random(EACH) for k in range(REPLICATES)]
    return np.asarray(norm.ppf(np.vstack(drawn)))
