"""One implant in one place: what it measures, which constraints it keeps, what it scores, how it climbs. Compiled.

A *pose* is ``(x, y, z, dx, dy, dz)``: the implant's centre in LPS mm and the unit insertion direction.
The implant is sampled on rings of its surface and on its axis; `planner.trajectory.exact` measures without samples.

All compiled code is in this one file: numba's cache knows a change of the file that a function is in, not one of the
functions that it calls.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner.trajectory.region import DISTANCES, FIELDS, REACH_MM

__all__ = [
    "BREACH",
    "CONSTRAINTS",
    "MEASURES",
    "TERMS",
    "Lattice",
    "Scene",
    "breached",
    "climb",
    "evaluate",
    "evaluate_all",
    "is_new",
    "measure",
    "only_broken",
    "safe_radius",
    "score_without_radius",
    "slacks",
    "terms",
]

CONSTRAINTS = (
    "neural-clearance",
    "ventral-cortex",
    "outer-iliac-cortex",
    "containment",
    "middle-third",
    "inferior-third",
    "anterior-margin",
    "access",
    "axial-angle",
    "cranial-tilt",
    "sciatic-notch",
    "in-joint",
)
"""Order of the slacks."""

AXIAL_ANGLE, CRANIAL_TILT = CONSTRAINTS.index("axial-angle"), CONSTRAINTS.index("cranial-tilt")

TERMS = ("clearance", "coplanar", "articular", "middle_third", "bite", "bone_quality", "entry_radius")
"""Order of the score's terms; the last is measured apart."""

MEASURES = (
    "neural",
    "ventral_cortex",
    "outer_iliac_cortex",
    "containment",
    "sacrum_bite",
    "hip_bite",
    "articular_share",
    "hu_shell",
    "joint_offset",
    "joint_angle",
    "anterior_margin",
    "access_bone",
    "access_neural",
    "mouth",
    "axial",
    "cranial_tilt",
    "height",
    "lowest",
    "sciatic_notch",
)
"""Order of the measures: mm, degrees, HU and a share."""

(
    NEURAL,
    VENTRAL,
    OUTER,
    CONTAINMENT,
    SACRUM_BITE,
    HIP_BITE,
    ARTICULAR,
    SHELL,
    OFFSET,
    ANGLE,
    ANTERIOR,
    ACCESS_BONE,
    ACCESS_NEURAL,
    MOUTH,
    AXIAL,
    TILT,
    HEIGHT,
    LOWEST,
    NOTCH,
) = range(len(MEASURES))

BREACH = (NEURAL, VENTRAL, OUTER, ANTERIOR)
"""Measures that a misplaced implant can breach."""

FAR_MM = REACH_MM
"""What the distance fields hold outside the region."""

FIELD_COUNT = len(FIELDS)
"""Values at a voxel."""

STATION_MM = 2.0
"""Largest spacing of the rings along the implant."""

RING = 12
"""Points on a ring."""

MARCH_MM = 1.0
"""Step along the axis out of the bone."""

MARCH_STEPS = 60
"""Farthest mouth of the joint, and farthest anterior exit, in steps."""

CANNULA_STATION_MM = 3.0
"""Spacing of the rings along the cannula."""

CANNULA_STATIONS = 15
"""Rings along the cannula: beyond them it has left the bones."""

CANNULA_RING = 8
"""Points on a ring of the cannula."""

RIM_SIDE_MM = 1.0
"""The joint's margin counts as ahead of the implant this far to either side of it."""

DEGREE_MM = 0.35
"""One degree of a limit broken weighs as much as this: the shift of a 20 mm implant's tip."""

RADIUS_STEP_MM = 0.1
"""Smallest step of the safe entry radius."""

SPARE_WEIGHT = 0.002
"""Of the mean slack, where the score proper leaves a choice: of equals, the one in the middle of what is allowed. It
counts in the search alone and is no part of the score reported [P]."""

SPARE_MM = 5.0
"""More slack is worth no more."""

RADIUS_DIRECTIONS = 8
"""Directions in which the entry is moved."""

FIRST_STEP_MM, LAST_STEP_MM = 2.0, 0.07
"""First and least step of the climb."""

POLISH_STEP_MM = 0.66
"""First step of the last climb, which starts near the top."""

STEP_CUT = 1 / 3
"""Of the step, when no move leads up."""

STEP_DEG_PER_MM = 2.0
"""Turn that goes with a step."""

LEAST_GAIN = 1e-6
"""Less is no way up: it is the last bits of a sum."""

MOVES = np.array(
    [
        [1, 0, 0, 0, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 0, 1],
        [0, 1, 0, 1, 0],
        [0, 1, 0, -1, 0],
        [0, 0, 1, 0, 1],
        [0, 0, 1, 0, -1],
    ],
    dtype=np.float64,
)
"""Moves of the climb, each tried both ways: forward, along the joint, out of it, turned in it, turned out of it; and
turns about either end instead of the centre, for ridges between two constraints."""


Array = NDArray[np.float64]


class Lattice(NamedTuple):
    """The distance fields, as they lie in memory. One array only: passing it costs little.

    Attributes
    ----------
    values : (z * y * x * 8,) float32 array
        See `planner.trajectory.region.FIELDS`, which vary fastest.
    shape_zyx : tuple of int
        Of the grid.
    zyx_from_lps : tuple of 12 floats
        Rows of the (3, 4) matrix that gives the index of an LPS point.
    """

    values: NDArray[np.float32]
    shape_zyx: tuple[int, int, int]
    zyx_from_lps: tuple[float, ...]


class Scene(NamedTuple):
    """Everything a pose is held against.

    Attributes
    ----------
    lattice : Lattice
        The distance fields.
    axes : (3, 3) array
        Rows: lateral (away from the midline), posterior and cranial of the pelvis, in LPS.
    facing : (3,) array
        Mean normal of the joint's middle third, sacrum to ilium.
    slab : (5,) array
        Thirds: axis, then the lower and upper bound of the middle third.
    rim : (n, 3) array
        Points of the mid-surface's outer edge.
    notch : (3,) array
        Apex of the greater sciatic notch; NaN if unknown.
    limits : (15,) array
        See `planner.trajectory.scene`.
    ramps : (12,) array
        Zero and one of clearance, plane angle, plane offset, articular share, bite difference and shell HU.
    weights : (7,) array
        Of `TERMS`.
    cannula_wall_mm, shell_mm : float
        Instruments.
    """

    lattice: Lattice
    axes: Array
    facing: Array
    slab: Array
    rim: Array
    notch: Array
    limits: Array
    ramps: Array
    weights: Array
    cannula_wall_mm: float
    shell_mm: float


@njit(cache=True, nogil=True)
def look_up(lattice, x, y, z, out):  # type: ignore[no-untyped-def]
    """Trilinear value of the first ``len(out)`` fields at an LPS point; outside the region, far from everything."""
    m = lattice.zyx_from_lps
    a = m[0] * x + m[1] * y + m[2] * z + m[3]
    b = m[4] * x + m[5] * y + m[6] * z + m[7]
    c = m[8] * x + m[9] * y + m[10] * z + m[11]
    depth, height, width = lattice.shape_zyx
    if not (0 <= a <= depth - 1 and 0 <= b <= height - 1 and 0 <= c <= width - 1):
        for f in range(len(out)):
            out[f] = FAR_MM if f < DISTANCES else 0.0
        return
    i, j, k = min(int(a), depth - 2), min(int(b), height - 2), min(int(c), width - 2)
    fa, fb, fc = a - i, b - j, c - k
    row, column = height * width * FIELD_COUNT, width * FIELD_COUNT
    start = i * row + j * column + k * FIELD_COUNT
    ga, gb, gc = 1 - fa, 1 - fb, 1 - fc
    v, step, up = lattice.values, np.uint64(FIELD_COUNT), np.uint64(row)
    low, high = np.uint64(start), np.uint64(start + column)
    for f in range(len(out)):
        p, q = low + np.uint64(f), high + np.uint64(f)
        below = gb * (gc * v[p] + fc * v[p + step]) + fb * (gc * v[q] + fc * v[q + step])
        p, q = p + up, q + up
        above = gb * (gc * v[p] + fc * v[p + step]) + fb * (gc * v[q] + fc * v[q + step])
        out[f] = ga * below + fa * above


@njit(cache=True, nogil=True)
def _dot(a, b):  # type: ignore[no-untyped-def]
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit(cache=True, nogil=True)
def _across(scene, pose):  # type: ignore[no-untyped-def]
    """Two unit vectors across the axis: along the joint, and out of it."""
    f, d = scene.facing, (pose[3], pose[4], pose[5])
    share = _dot(f, d)
    x, y, z = f[0] - share * d[0], f[1] - share * d[1], f[2] - share * d[2]
    length = math.sqrt(x * x + y * y + z * z)
    n = (x / length, y / length, z / length)
    return (d[1] * n[2] - d[2] * n[1], d[2] * n[0] - d[0] * n[2], d[0] * n[1] - d[1] * n[0]), n


@njit(cache=True, nogil=True)
def _least(values):  # type: ignore[no-untyped-def]
    least = math.inf
    for value in values:
        least = min(least, value)
    return least


@njit(cache=True, nogil=True)
def _include(out, sample):  # type: ignore[no-untyped-def]
    """Let one point of the implant count."""
    out[NEURAL] = min(out[NEURAL], sample[2])
    out[VENTRAL] = min(out[VENTRAL], sample[3])
    out[OUTER] = min(out[OUTER], sample[4])
    out[CONTAINMENT] = min(out[CONTAINMENT], -sample[5])
    out[SACRUM_BITE] = max(out[SACRUM_BITE], -sample[0])
    out[HIP_BITE] = max(out[HIP_BITE], -sample[1])


@njit(cache=True, nogil=True)
def _body(scene, pose, diameter, length, out):  # type: ignore[no-untyped-def]
    """Clearances, bites and bone quality, on rings."""
    u, v = _across(scene, pose)
    lattice = scene.lattice
    sample, in_shell = np.empty(DISTANCES), np.empty(FIELD_COUNT)
    radius = diameter / 2
    stations = math.ceil(length / STATION_MM) + 1
    shell, shell_count = 0.0, 0
    for s in range(stations):
        t = length * (s / (stations - 1) - 0.5)
        at_end = s == 0 or s == stations - 1
        x, y, z = pose[0] + t * pose[3], pose[1] + t * pose[4], pose[2] + t * pose[5]
        for k in range(RING):
            angle = 2 * math.pi * k / RING
            cos, sin = math.cos(angle), math.sin(angle)
            dx, dy, dz = cos * u[0] + sin * v[0], cos * u[1] + sin * v[1], cos * u[2] + sin * v[2]
            look_up(lattice, x + radius * dx, y + radius * dy, z + radius * dz, sample)
            _include(out, sample)
            if at_end and k % 2 == 0:
                look_up(lattice, x + 0.5 * radius * dx, y + 0.5 * radius * dy, z + 0.5 * radius * dz, sample)
                _include(out, sample)
            if k % 2 == 1:
                beyond = radius + 0.5 * scene.shell_mm
                look_up(lattice, x + beyond * dx, y + beyond * dy, z + beyond * dz, in_shell)
                shell += in_shell[7]
                shell_count += 1
    out[SHELL] = shell / shell_count


@njit(cache=True, nogil=True)
def _axis(scene, pose, length, out):  # type: ignore[no-untyped-def]
    """Offset and angle to the mid-surface, and the articular share, on the implant's axis.

    Half the difference of the two bones' distances is the offset from the mid-surface; its slope is the angle's sine.
    """
    lattice = scene.lattice
    sample = np.empty(FIELD_COUNT)
    stations = 2 * (math.ceil(length / STATION_MM) // 2) + 1
    share, slope, square = 0.0, 0.0, 0.0
    for s in range(stations):
        t = length * (s / (stations - 1) - 0.5)
        look_up(lattice, pose[0] + t * pose[3], pose[1] + t * pose[4], pose[2] + t * pose[5], sample)
        _include(out, sample)
        offset = 0.5 * (sample[0] - sample[1])
        share += sample[6]
        slope += t * offset
        square += t * t
        if 2 * s == stations - 1:
            out[OFFSET] = abs(offset)
    out[ARTICULAR] = share / stations
    out[ANGLE] = math.degrees(math.asin(min(1.0, abs(slope / square))))


@njit(cache=True, nogil=True)
def _march(scene, pose, start, sign, track):  # type: ignore[no-untyped-def]
    """Distance along the axis from `start` to where it leaves the solid, and the deepest bone met from 1 mm on.

    Infinite if it does not leave within reach.
    """
    lattice = scene.lattice
    sample = np.empty(DISTANCES)
    before, deepest = 0.0, FAR_MM
    for step in range(MARCH_STEPS + 1):
        t = start + sign * step * MARCH_MM
        look_up(lattice, pose[0] + t * pose[3], pose[1] + t * pose[4], pose[2] + t * pose[5], sample)
        if sample[5] > 0:
            if step == 0:
                return 0.0, deepest
            return MARCH_MM * (step - sample[5] / (sample[5] - before)), deepest
        before = sample[5]
        if track and step > 0:
            deepest = min(deepest, sample[0], sample[1])
    return math.inf, deepest


@njit(cache=True, nogil=True)
def _access(scene, pose, diameter, length, out):  # type: ignore[no-untyped-def]
    """Follow the way in: the joint's dorsal mouth on the axis, and what the cannula meets behind it."""
    mouth, channel = _march(scene, pose, -length / 2, -1.0, True)
    out[MOUTH] = mouth
    out[ACCESS_BONE] = channel
    if mouth == math.inf:
        out[ACCESS_BONE] = -FAR_MM
        return
    u, v = _across(scene, pose)
    radius = diameter / 2 + scene.cannula_wall_mm
    lattice = scene.lattice
    sample = np.empty(3)
    for s in range(CANNULA_STATIONS):
        t = -length / 2 - mouth - s * CANNULA_STATION_MM
        x, y, z = pose[0] + t * pose[3], pose[1] + t * pose[4], pose[2] + t * pose[5]
        for k in range(CANNULA_RING + 1):
            angle, reach = 2 * math.pi * k / CANNULA_RING, radius if k < CANNULA_RING else 0.0
            cos, sin = reach * math.cos(angle), reach * math.sin(angle)
            dx, dy, dz = cos * u[0] + sin * v[0], cos * u[1] + sin * v[1], cos * u[2] + sin * v[2]
            look_up(lattice, x + dx, y + dy, z + dz, sample)
            out[ACCESS_BONE] = min(out[ACCESS_BONE], sample[0], sample[1])
            out[ACCESS_NEURAL] = min(out[ACCESS_NEURAL], sample[2])


@njit(cache=True, nogil=True)
def _ahead(scene, pose, diameter, length, out):  # type: ignore[no-untyped-def]
    """From the tip to the anterior margin along the path: the joint's edge, or the way out of the bones if nearer."""
    along, _ = _across(scene, pose)
    leave, _ = _march(scene, pose, length / 2, 1.0, False)
    side = diameter / 2 + RIM_SIDE_MM
    for k in range(scene.rim.shape[0]):
        x, y, z = scene.rim[k, 0] - pose[0], scene.rim[k, 1] - pose[1], scene.rim[k, 2] - pose[2]
        t = x * pose[3] + y * pose[4] + z * pose[5]
        if t > 0 and abs(x * along[0] + y * along[1] + z * along[2]) <= side:
            leave = min(leave, t - length / 2)
    out[ANTERIOR] = leave


@njit(cache=True, nogil=True)
def _place(scene, pose, diameter, length, out):  # type: ignore[no-untyped-def]
    """Angles in the pelvis, heights in the slabs, and the distance to the sciatic notch: all in closed form."""
    d = (pose[3], pose[4], pose[5])
    lateral, posterior, cranial = _dot(scene.axes[0], d), _dot(scene.axes[1], d), _dot(scene.axes[2], d)
    out[AXIAL] = math.degrees(math.atan2(lateral, -posterior))
    out[TILT] = math.degrees(math.asin(max(-1.0, min(1.0, cranial))))
    rise, height = _dot(scene.slab, d), _dot(scene.slab, pose)
    out[HEIGHT] = height
    out[LOWEST] = height - abs(rise) * length / 2 - diameter / 2 * math.sqrt(max(0.0, 1 - rise * rise))
    away = (scene.notch[0] - pose[0], scene.notch[1] - pose[1], scene.notch[2] - pose[2])
    t = _dot(away, d)
    across = math.sqrt(max(0.0, _dot(away, away) - t * t))
    out[NOTCH] = math.hypot(max(0.0, abs(t) - length / 2), max(0.0, across - diameter / 2))
    if math.isnan(scene.notch[0]):
        out[NOTCH] = math.inf


@njit(cache=True, nogil=True)
def measure(scene, pose, diameter, length):  # type: ignore[no-untyped-def]
    """All `MEASURES` of one implant."""
    out = np.full(len(MEASURES), FAR_MM)
    out[SACRUM_BITE] = out[HIP_BITE] = 0.0
    _body(scene, pose, diameter, length, out)
    _axis(scene, pose, length, out)
    _access(scene, pose, diameter, length, out)
    _ahead(scene, pose, diameter, length, out)
    _place(scene, pose, diameter, length, out)
    return out


@njit(cache=True, nogil=True)
def slacks(scene, m):  # type: ignore[no-untyped-def]
    """How far each of `CONSTRAINTS` is kept, mm; negative where it is broken."""
    limit, out = scene.limits, np.empty(len(CONSTRAINTS))
    out[0] = min(m[NEURAL], m[ACCESS_NEURAL]) - limit[0]
    out[1] = m[VENTRAL] - limit[1]
    out[2] = m[OUTER] - limit[2]
    out[3] = m[CONTAINMENT] - limit[3]
    out[4] = min(m[HEIGHT] - scene.slab[3], scene.slab[4] - m[HEIGHT])
    out[5] = m[LOWEST] - scene.slab[3]
    out[6] = m[ANTERIOR] - limit[4]
    out[7] = m[ACCESS_BONE] + limit[5]
    out[8] = DEGREE_MM * min(m[AXIAL] - limit[6], limit[7] - m[AXIAL])
    out[9] = DEGREE_MM * min(m[TILT] - limit[8], limit[9] - m[TILT])
    out[10] = m[NOTCH] - limit[10]
    out[11] = min(limit[11] - m[OFFSET], DEGREE_MM * (limit[12] - m[ANGLE]))
    return out


@njit(cache=True, nogil=True)
def _ramp(value, zero, one):  # type: ignore[no-untyped-def]
    return min(1.0, max(0.0, (value - zero) / (one - zero)))


@njit(cache=True, nogil=True)
def terms(scene, m):  # type: ignore[no-untyped-def]
    """`TERMS` of the score, 0-1; the safe entry radius is left at 0."""
    r, out = scene.ramps, np.zeros(len(TERMS))
    out[0] = _ramp(min(m[NEURAL], m[VENTRAL], m[OUTER]), r[0], r[1])
    out[1] = min(_ramp(m[ANGLE], r[2], r[3]), _ramp(m[OFFSET], r[4], r[5]))
    out[2] = _ramp(m[ARTICULAR], r[6], r[7])
    middle, half = 0.5 * (scene.slab[3] + scene.slab[4]), 0.5 * (scene.slab[4] - scene.slab[3])
    out[3] = _ramp(abs(m[HEIGHT] - middle), half, 0.0)
    out[4] = _ramp(abs(m[SACRUM_BITE] - m[HIP_BITE]), r[8], r[9])
    out[5] = _ramp(m[SHELL], r[10], r[11])
    return out


@njit(cache=True, nogil=True)
def score_without_radius(scene, m):  # type: ignore[no-untyped-def]
    """Weighted sum of the terms, the safe entry radius left out."""
    total, value = 0.0, terms(scene, m)
    for k in range(len(value)):
        total += value[k] * scene.weights[k]
    return total


@njit(cache=True, nogil=True)
def _spare(scene, m):  # type: ignore[no-untyped-def]
    kept = 0.0
    for slack in slacks(scene, m):
        kept += _ramp(slack, 0.0, SPARE_MM)
    return SPARE_WEIGHT * kept / len(CONSTRAINTS)


@njit(cache=True, nogil=True)
def least_slack(scene, pose, diameter, length, m):  # type: ignore[no-untyped-def]
    """Slack in mm of the tightest constraint, and `m` filled; stops at the first that is broken, cheapest first.

    Where all are kept, the limits of the direction do not count: they do not change with the place.
    """
    m[:] = FAR_MM
    m[SACRUM_BITE] = m[HIP_BITE] = m[OFFSET] = m[ANGLE] = 0.0
    _place(scene, pose, diameter, length, m)
    slack = _least(slacks(scene, m))
    if slack < 0:
        return slack
    _axis(scene, pose, length, m)
    _ahead(scene, pose, diameter, length, m)
    slack = _least(slacks(scene, m))
    if slack < 0:
        return slack
    _access(scene, pose, diameter, length, m)
    slack = _least(slacks(scene, m))
    if slack < 0:
        return slack
    _body(scene, pose, diameter, length, m)
    left = slacks(scene, m)
    slack = _least(left)
    if slack >= 0:
        left[AXIAL_ANGLE] = left[CRANIAL_TILT] = math.inf
        slack = _least(left)
    return slack


@njit(cache=True, nogil=True)
def safe_radius(scene, pose, diameter, length, enough, first):  # type: ignore[no-untyped-def]
    """How far the implant may move sideways, in any of `RADIUS_DIRECTIONS`, with every constraint kept; which binds.

    No slack in mm shrinks faster than the implant moves, so each direction is followed in steps of the slack left.
    At most the radius for which the score is 1. Stops, with what it has, once it is no more than `enough`: begin with
    the direction `first` that is likely to bind.
    """
    u, v = _across(scene, pose)
    m = np.empty(len(MEASURES))
    moved, tightest = pose.copy(), least_slack(scene, pose, diameter, length, m)
    least, binding = scene.limits[14] if tightest >= 0 else 0.0, first
    for turn in range(RADIUS_DIRECTIONS):
        k = (first + turn) % RADIUS_DIRECTIONS
        angle = 2 * math.pi * k / RADIUS_DIRECTIONS
        cos, sin = math.cos(angle), math.sin(angle)
        radius, slack = 0.0, tightest
        while radius < least and least > enough:
            ahead = radius + max(slack, RADIUS_STEP_MM)
            for axis in range(3):
                moved[axis] = pose[axis] + ahead * (cos * u[axis] + sin * v[axis])
            slack = least_slack(scene, moved, diameter, length, m)
            if slack < 0:
                least, binding = radius, k
            radius = ahead
    return least, binding


@njit(cache=True, nogil=True)
def evaluate(scene, pose, size, beat, way):  # type: ignore[no-untyped-def]
    """Score, and a trace of the slack, of a pose that keeps every constraint; else the slack, which is negative.

    Whatever cannot be more than `beat` is not worked out: some value not above it is returned. The safe entry radius
    counts if `way`, the direction to begin with, is not negative; the direction that binds is returned.
    """
    diameter, length = size
    m = np.full(len(MEASURES), FAR_MM)
    if beat >= 0:
        slack = least_slack(scene, pose, diameter, length, m)
    else:
        m = measure(scene, pose, diameter, length)
        slack = _least(slacks(scene, m))
    if slack < 0:
        return slack, way
    value, weight = score_without_radius(scene, m) + _spare(scene, m), scene.weights[-1]
    if way < 0 or value + weight <= beat:
        return value, way
    zero, one = scene.limits[13], scene.limits[14]
    enough = zero + (beat - value) / weight * (one - zero) if beat > value else 0.0
    radius, way = safe_radius(scene, pose, diameter, length, enough, way)
    return value + weight * _ramp(radius, zero, one), way


@njit(cache=True, nogil=True)
def evaluate_all(scene, poses, diameter, length):  # type: ignore[no-untyped-def]
    """`evaluate` each of ``(n, 6)`` poses without the radius, and count how many break each constraint.

    A pose that breaks one in closed form (angles, heights, notch) is not measured further.
    """
    values, broken = np.empty(len(poses)), np.zeros(len(CONSTRAINTS), np.int64)
    m = np.empty(len(MEASURES))
    for k in range(len(poses)):
        m[:] = FAR_MM
        m[OFFSET] = m[ANGLE] = 0.0
        _place(scene, poses[k], diameter, length, m)
        slack = slacks(scene, m)
        if _least(slack) >= 0:
            m = measure(scene, poses[k], diameter, length)
            slack = slacks(scene, m)
        values[k] = _least(slack)
        for c in range(len(slack)):
            broken[c] += slack[c] < 0
        if values[k] >= 0:
            values[k] = score_without_radius(scene, m) + _spare(scene, m)
    return values, broken


@njit(cache=True, nogil=True)
def only_broken(scene, poses, diameter, length):  # type: ignore[no-untyped-def]
    """Count, for each constraint, the poses that break it and no other, and find the best slack among them."""
    alone, best = np.zeros(len(CONSTRAINTS), np.int64), np.full(len(CONSTRAINTS), -math.inf)
    for k in range(len(poses)):
        slack = slacks(scene, measure(scene, poses[k], diameter, length))
        broken, last = 0, 0
        for c in range(len(slack)):
            if slack[c] < 0:
                broken, last = broken + 1, c
        if broken == 1:
            alone[last] += 1
            best[last] = max(best[last], slack[last])
    return alone, best


@njit(cache=True, nogil=True)
def are_distinct(pose, other, distinct_mm, distinct_deg):  # type: ignore[no-untyped-def]
    """Whether two poses differ by enough: centres apart, or axes turned."""
    away = (pose[0] - other[0], pose[1] - other[1], pose[2] - other[2])
    if _dot(away, away) >= distinct_mm * distinct_mm:
        return True
    return math.degrees(math.acos(min(1.0, _dot(pose[3:6], other[3:6])))) >= distinct_deg


@njit(cache=True, nogil=True)
def is_new(pose, taken, distinct_mm, distinct_deg):  # type: ignore[no-untyped-def]
    """Whether a pose is distinct from all of ``(n, 6)`` poses."""
    for k in range(len(taken)):  # noqa: SIM110 (numba knows no all())
        if not are_distinct(pose, taken[k], distinct_mm, distinct_deg):
            return False
    return True


@njit(cache=True, nogil=True)
def _moved(scene, pose, move, step_mm):  # type: ignore[no-untyped-def]
    """Pose after a move: three shifts (axis, along the joint, out of it) and two turns (in the joint, out of it)."""
    along, n = _across(scene, pose)
    turn = math.tan(math.radians(STEP_DEG_PER_MM * step_mm))
    out = np.empty(6)
    for k in range(3):
        out[k] = pose[k] + step_mm * (move[0] * pose[3 + k] + move[1] * along[k] + move[2] * n[k])
        out[3 + k] = pose[3 + k] + turn * (move[3] * along[k] + move[4] * n[k])
    length = math.sqrt(_dot(out[3:6], out[3:6]))
    for k in range(3, 6):
        out[k] /= length
    return out


@njit(cache=True, nogil=True)
def climb(scene, start, size, taken, distinct, polish):  # type: ignore[no-untyped-def]
    """Pattern search: every move that leads up is made, and repeated; the step is cut when none does.

    Stays distinct from the poses `taken`. To polish is to start with small steps and to score the safe entry radius.
    """
    pose = start.copy()
    best, way = evaluate(scene, pose, size, -1.0, 0 if polish else -1)
    step = POLISH_STEP_MM if polish else FIRST_STEP_MM
    while step >= LAST_STEP_MM:
        before = best
        for k in range(2 * len(MOVES)):
            sign = 1.0 - 2.0 * (k % 2)
            while True:
                trial = _moved(scene, pose, MOVES[k // 2], sign * step)
                if not is_new(trial, taken, distinct[0], distinct[1]):
                    break
                value, way = evaluate(scene, trial, size, best, way)
                if value <= best + LEAST_GAIN:
                    break
                pose, best = trial, value
        if best <= before + LEAST_GAIN:
            step *= STEP_CUT
    return pose, best


@njit(cache=True, nogil=True)
def breached(scene, poses, size, floors):  # type: ignore[no-untyped-def]
    """Share of ``(n, 6)`` poses of which one of `BREACH` is below its floor; at a floor of 0, touches."""
    breached = 0
    for k in range(len(poses)):
        m = measure(scene, poses[k], size[0], size[1])
        for b in range(len(BREACH)):
            if m[BREACH[b]] < floors[b] or (b > 0 and m[BREACH[b]] <= floors[b]):
                breached += 1
                break
    return breached / len(poses)
