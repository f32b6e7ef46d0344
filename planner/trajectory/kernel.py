"""One implant in one place: what it measures, which constraints it keeps, what it scores. Compiled, without side effects.

A *pose* is ``(x, y, z, dx, dy, dz)``: the implant's centre in LPS mm and the unit insertion direction.
The implant is sampled on rings of its surface and on its axis; `planner.trajectory.exact` measures without samples.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "BREACH",
    "CONSTRAINTS",
    "MEASURES",
    "TERMS",
    "Scene",
    "evaluate",
    "evaluate_all",
    "measure",
    "safe_radius",
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

FAR_MM = 15.0
"""What the distance fields hold outside the region."""

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

RADIUS_STEP_MM = 0.5
"""Step of the safe entry radius; interpolated between steps."""

RADIUS_DIRECTIONS = 8
"""Directions in which the entry is moved."""

Array = NDArray[np.float64]


class Scene(NamedTuple):
    """Everything a pose is held against.

    Attributes
    ----------
    fields : (z, y, x, 8) float32 array
        See `planner.trajectory.region.FIELDS`.
    zyx_from_lps : (3, 4) array
        Index of an LPS point.
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

    fields: NDArray[np.float32]
    zyx_from_lps: Array
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
def look_up(scene, x, y, z, out):  # type: ignore[no-untyped-def]
    """Trilinear value of all fields at an LPS point; outside the region, far from everything."""
    m = scene.zyx_from_lps
    a = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]
    b = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]
    c = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
    depth, height, width, count = scene.fields.shape
    if a < 0 or b < 0 or c < 0 or a > depth - 1 or b > height - 1 or c > width - 1:
        for k in range(count):
            out[k] = FAR_MM if k < 6 else 0.0
        return False
    i, j, k0 = min(int(a), depth - 2), min(int(b), height - 2), min(int(c), width - 2)
    fa, fb, fc = a - i, b - j, c - k0
    block = scene.fields[i : i + 2, j : j + 2, k0 : k0 + 2]
    for k in range(count):
        low = (block[0, 0, 0, k] * (1 - fc) + block[0, 0, 1, k] * fc) * (1 - fb) + (
            block[0, 1, 0, k] * (1 - fc) + block[0, 1, 1, k] * fc
        ) * fb
        high = (block[1, 0, 0, k] * (1 - fc) + block[1, 0, 1, k] * fc) * (1 - fb) + (
            block[1, 1, 0, k] * (1 - fc) + block[1, 1, 1, k] * fc
        ) * fb
        out[k] = low * (1 - fa) + high * fa
    return True


@njit(cache=True, nogil=True)
def _across(scene, pose):  # type: ignore[no-untyped-def]
    """Two unit vectors across the axis: along the joint, and out of it."""
    d = pose[3:6]
    n = scene.facing - np.dot(scene.facing, d) * d
    n /= math.sqrt(np.dot(n, n))
    along = np.cross(d, n)
    return along, n


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
    sample = np.empty(scene.fields.shape[3])
    radius = diameter / 2
    stations = int(math.ceil(length / STATION_MM)) + 1
    shell, shell_count = 0.0, 0
    for s in range(stations):
        t = length * (s / (stations - 1) - 0.5)
        at_end = s == 0 or s == stations - 1
        x, y, z = pose[0] + t * pose[3], pose[1] + t * pose[4], pose[2] + t * pose[5]
        for k in range(RING):
            angle = 2 * math.pi * k / RING
            cos, sin = math.cos(angle), math.sin(angle)
            dx, dy, dz = cos * u[0] + sin * v[0], cos * u[1] + sin * v[1], cos * u[2] + sin * v[2]
            look_up(scene, x + radius * dx, y + radius * dy, z + radius * dz, sample)
            _include(out, sample)
            if at_end and k % 2 == 0:
                look_up(scene, x + 0.5 * radius * dx, y + 0.5 * radius * dy, z + 0.5 * radius * dz, sample)
                _include(out, sample)
            if k % 2 == 1:
                beyond = radius + 0.5 * scene.shell_mm
                look_up(scene, x + beyond * dx, y + beyond * dy, z + beyond * dz, sample)
                shell += sample[7]
                shell_count += 1
    out[SHELL] = shell / shell_count


@njit(cache=True, nogil=True)
def _axis(scene, pose, length, out):  # type: ignore[no-untyped-def]
    """Offset and angle to the mid-surface, and the articular share, on the implant's axis.

    Half the difference of the two bones' distances is the offset from the mid-surface; its slope, the sine of the angle.
    """
    sample = np.empty(scene.fields.shape[3])
    stations = 2 * (int(math.ceil(length / STATION_MM)) // 2) + 1
    share, slope, square = 0.0, 0.0, 0.0
    for s in range(stations):
        t = length * (s / (stations - 1) - 0.5)
        look_up(scene, pose[0] + t * pose[3], pose[1] + t * pose[4], pose[2] + t * pose[5], sample)
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
    sample = np.empty(scene.fields.shape[3])
    before, deepest = 0.0, FAR_MM
    for step in range(MARCH_STEPS + 1):
        t = start + sign * step * MARCH_MM
        look_up(scene, pose[0] + t * pose[3], pose[1] + t * pose[4], pose[2] + t * pose[5], sample)
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
    """The way in: the joint's dorsal mouth on the axis, and what the cannula meets behind it."""
    mouth, channel = _march(scene, pose, -length / 2, -1.0, True)
    out[MOUTH] = mouth
    out[ACCESS_BONE] = channel
    if mouth == math.inf:
        out[ACCESS_BONE] = -FAR_MM
        return
    u, v = _across(scene, pose)
    radius = diameter / 2 + scene.cannula_wall_mm
    sample = np.empty(scene.fields.shape[3])
    for s in range(CANNULA_STATIONS):
        t = -length / 2 - mouth - s * CANNULA_STATION_MM
        x, y, z = pose[0] + t * pose[3], pose[1] + t * pose[4], pose[2] + t * pose[5]
        for k in range(CANNULA_RING + 1):
            angle, reach = 2 * math.pi * k / CANNULA_RING, radius if k < CANNULA_RING else 0.0
            cos, sin = reach * math.cos(angle), reach * math.sin(angle)
            look_up(scene, x + cos * u[0] + sin * v[0], y + cos * u[1] + sin * v[1], z + cos * u[2] + sin * v[2], sample)
            out[ACCESS_BONE] = min(out[ACCESS_BONE], sample[0], sample[1])
            out[ACCESS_NEURAL] = min(out[ACCESS_NEURAL], sample[2])


@njit(cache=True, nogil=True)
def _ahead(scene, pose, diameter, length, out):  # type: ignore[no-untyped-def]
    """From the tip to the anterior margin along the path: the joint's edge ahead, or the way out of the bones if nearer."""
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
    d = pose[3:6]
    along = scene.axes @ d
    out[AXIAL] = math.degrees(math.atan2(along[0], -along[1]))
    out[TILT] = math.degrees(math.asin(max(-1.0, min(1.0, along[2]))))
    rise = scene.slab[0] * d[0] + scene.slab[1] * d[1] + scene.slab[2] * d[2]
    height = scene.slab[0] * pose[0] + scene.slab[1] * pose[1] + scene.slab[2] * pose[2]
    out[HEIGHT] = height
    out[LOWEST] = height - abs(rise) * length / 2 - diameter / 2 * math.sqrt(max(0.0, 1 - rise * rise))
    away = scene.notch - pose[0:3]
    t = np.dot(away, d)
    across = math.sqrt(max(0.0, np.dot(away, away) - t * t))
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
def least_slack(scene, pose, diameter, length):  # type: ignore[no-untyped-def]
    """Slack of the tightest constraint."""
    return slacks(scene, measure(scene, pose, diameter, length)).min()


@njit(cache=True, nogil=True)
def safe_radius(scene, pose, diameter, length):  # type: ignore[no-untyped-def]
    """How far the implant may move sideways, in any direction, with every constraint kept; at most `Ramp.one`."""
    u, v = _across(scene, pose)
    moved, before = pose.copy(), least_slack(scene, pose, diameter, length)
    if before < 0:
        return 0.0
    for step in range(1, int(scene.limits[14] / RADIUS_STEP_MM + 0.5) + 1):
        worst = math.inf
        for k in range(RADIUS_DIRECTIONS):
            angle = 2 * math.pi * k / RADIUS_DIRECTIONS
            shift = step * RADIUS_STEP_MM * (math.cos(angle) * u + math.sin(angle) * v)
            moved[0:3] = pose[0:3] + shift
            worst = min(worst, least_slack(scene, moved, diameter, length))
            if worst < 0:
                return RADIUS_STEP_MM * (step - 1 + before / (before - worst))
        before = worst
    return scene.limits[14]


@njit(cache=True, nogil=True)
def evaluate(scene, pose, diameter, length, with_radius):  # type: ignore[no-untyped-def]
    """Score of a pose that keeps every constraint; else the tightest slack, which is negative."""
    m = measure(scene, pose, diameter, length)
    tightest = slacks(scene, m).min()
    if tightest < 0:
        return tightest
    value = terms(scene, m)
    if with_radius:
        zero, one = scene.limits[13], scene.limits[14]
        value[-1] = _ramp(safe_radius(scene, pose, diameter, length), zero, one)
    return np.dot(value, scene.weights)


@njit(cache=True, nogil=True)
def evaluate_all(scene, poses, diameter, length):  # type: ignore[no-untyped-def]
    """`evaluate` without the radius for each of ``(n, 6)`` poses, and how many break each constraint."""
    values, broken = np.empty(len(poses)), np.zeros(len(CONSTRAINTS), np.int64)
    for k in range(len(poses)):
        m = measure(scene, poses[k], diameter, length)
        slack = slacks(scene, m)
        values[k] = slack.min()
        broken += slack < 0
        if values[k] >= 0:
            values[k] = np.dot(terms(scene, m), scene.weights)
    return values, broken
