"""One implant in one place: what it measures, which constraints it keeps, what it scores, how it climbs. Compiled.

A *pose* is ``(x, y, z, dx, dy, dz)``: the implant's centre in LPS mm and the unit insertion direction.
The implant is sampled on rings of its surface and on its axis; `planner.trajectory.exact` measures without samples.
A sample lies at ``t`` along the axis, ``p`` along the joint and ``q`` out of it, mm from the centre.

All that is compiled for the search is in this one file: numba's cache knows a change of the file that a function is
in, not one of the functions that it calls. Only what Python calls is cached and has a wrapper for Python (`PUBLIC`);
the wrappers of all the rest were most of the time that the first call took.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner.trajectory.region import FIELDS, REACH_MM, SOLID_REACH_MM

__all__ = [
    "BREACH",
    "CONSTRAINTS",
    "FINELY",
    "FULLY",
    "INSTRUMENT_LIMITS",
    "MEASURES",
    "ROUGHLY",
    "TERMS",
    "Scene",
    "assess",
    "breached",
    "climb",
    "evaluate_all",
    "is_new",
    "only_broken",
    "spare",
    "with_radius",
]

PUBLIC: dict[str, Any] = {"cache": True, "nogil": True}
"""What Python calls."""

PRIVATE: dict[str, Any] = {"nogil": True, "no_cpython_wrapper": True}
"""What only compiled functions call."""

ROUGHLY, FINELY, FULLY = np.int64(0), np.int64(1), np.int64(2)
"""How a climb polishes: not at all, with the fine steps alone, from the long ones on."""

ASIDE, NEEDED, WHOLLY = 0.0, 1.0, 2.0
"""What is measured: not the implant's own clearances; all but instruments that cannot bind; all. No truth values: numba
would compile for each."""

UNLESS_BROKEN, WHATEVER_BREAKS = (0.0, -1.0, 0.0, 0.0), (-math.inf, -1.0, 0.0, 0.0)
"""Goals of a pose that is to be measured whatever its score: until a constraint is broken, and to the end."""

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
    "cannula-clearance",
    "distractor-clearance",
    "pin-clearance",
)
"""Order of the slacks."""

INSTRUMENT_LIMITS = ("cannula-clearance", "distractor-clearance", "pin-clearance")
"""Constraints of the instruments; they ask for the implant's own distance to neural keep-outs."""

ONE_LIMIT = tuple(CONSTRAINTS.index(name) for name in ("neural-clearance", *INSTRUMENT_LIMITS))
"""Constraints that ask for that distance. Where a keep-out is in the way of several, they count as one: the first."""

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
    "distractor_neural",
    "pin_neural",
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
    DISTRACTOR_NEURAL,
    PIN_NEURAL,
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
"""What the distance fields hold outside the region; the depth is as much below 0."""

SACRUM_FIELD, HIP_FIELD, NEURAL_FIELD, VENTRAL_FIELD, OUTER_FIELD, DEPTH_FIELD, ARTICULAR_FIELD, HU_FIELD = range(8)
"""Values at a voxel: `planner.trajectory.region.FIELDS`."""

ROUNDING_MM = 0.01
"""Of the fields, with room."""

FIELD_COUNT = np.int64(len(FIELDS))
"""Values at a voxel. This and the counts below are numpy's integers: numba compiles what a plain constant is given to
anew for each value."""

CONSTRAINT_COUNT, TERM_COUNT, MEASURE_COUNT = np.int64(len(CONSTRAINTS)), np.int64(len(TERMS)), np.int64(len(MEASURES))
"""Lengths of the arrays that go with them."""

STATION_MM = 2.0
"""Largest spacing of the rings along the implant."""

RING = 12
"""Points on a ring."""

MARCH_MM = 1.0
"""Step along the axis out of the bone."""

MARCH_STEPS = 60
"""Farthest mouth of the joint, and farthest anterior exit, in steps."""

CANNULA_STATION_MM, CANNULA_MM = 1.5, 42.0
"""Least spacing of the rings along the cannula, and how far it is looked at: beyond it has left the bones."""

CANNULA_RING = 12
"""Points on a ring of the cannula, beside its middle."""

RIM_SIDE_MM = 1.0
"""The joint's margin counts as ahead of the implant this far to either side of it."""

DEGREE_MM = 0.35
"""One degree of a limit broken weighs as much as this: the shift of a 20 mm implant's tip."""

RADIUS_STEP_MM, FINE_RADIUS_STEP_MM = 0.5, 0.1
"""Smallest step of the safe entry radius: in the search, whose guard is half of it, and as it is reported."""

SPARE_WEIGHT = 0.002
"""Of the mean slack, where the score proper leaves a choice: of equals, the one in the middle of what is allowed. It
counts in the search alone and is no part of the score reported [P]."""

SPARE_MM = 5.0
"""More slack is worth no more."""

SPARED = np.int64(len(CONSTRAINTS) - 2)
"""Constraints in that mean: distractor and pin are measured only where they could bind."""

TIGHT_WEIGHT = 0.004
"""Of the least slack up to the smallest safe entry radius that scores: leads the climb to where that radius can grow.
In the search alone, too [P]."""

RADIUS_DIRECTIONS = 32
"""Directions in which the entry is moved: as many in the search as for the radius that is reported. With 8, a spur of
bone between two of them went unseen."""

FIRST_STEP_MM, POLISH_STEP_MM, LAST_STEP_MM = 2.0, 0.6, 0.2
"""First step of a climb; least of it and first of one with the safe entry radius, which carries on; least of that."""

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
        [0, 1, 1, 0, 0],
        [0, 1, -1, 0, 0],
        [0, 0, 0, 1, 1],
        [0, 0, 0, 1, -1],
    ],
    dtype=np.float64,
)
"""Moves of the climb, each tried both ways: forward, along the joint, out of it, turned in it, turned out of it; and
turns about either end instead of the centre, and two shifts or turns at once, for ridges between two constraints."""


def _turns(count: int) -> NDArray[np.float64]:
    """Cosine and sine of evenly spaced points on a ring."""
    angles = 2 * np.pi * np.arange(count) / count
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


RING_TURNS, CANNULA_TURNS = _turns(RING), _turns(CANNULA_RING)
"""Rings of a round implant and of its cannula."""

WHOLE, EVEN, ODD, TUBE, MIDDLE = (
    (np.int64(first), np.int64(last))
    for first, last in (
        (0, RING),
        (RING, RING + RING // 2),
        (RING + RING // 2, 2 * RING),
        (2 * RING, 2 * RING + CANNULA_RING + 1),
        (2 * RING + CANNULA_RING, 2 * RING + CANNULA_RING + 1),
    )
)
"""First and last of `Scene.turns`: a ring of the implant; every second point of it, enough for the end faces, and the
others, for the shell; a ring of the cannula with its middle; the axis itself."""

RADIUS_TURNS, WAYS = _turns(RADIUS_DIRECTIONS), 13 * np.arange(RADIUS_DIRECTIONS) % RADIUS_DIRECTIONS
"""Of the safe entry radius: the directions, and the order in which they are first looked at, each far from the last."""

OUTSIDE = np.array([FAR_MM, FAR_MM, FAR_MM, FAR_MM, FAR_MM, -FAR_MM, 0.0, 0.0], np.float32)
"""All fields outside the region: far from everything and in no bone."""

Array = NDArray[np.float64]

PARTS = {
    "zyx_from_lps": 12,
    "axes": 9,
    "facing": 3,
    "slab": 5,
    "notch": 3,
    "limits": 15,
    "ramps": 12,
    "weights": len(TERMS),
    "instruments": 4,
    "shell_mm": 1,
    "section": 4,
    "hand": 1,
}
"""Parts of `Scene.numbers`, in order, and how many numbers each has."""

TO_INDEX, AXES, FACING, SLAB, NOTCH_AT, LIMITS, RAMPS, WEIGHTS, INSTRUMENTS, SHELL_DEPTH, SECTION, HAND, _ = np.cumsum(
    [0, *PARTS.values()]
)
"""Where each part of `Scene.numbers` begins."""

CANNULA_WALL, DISTRACTOR_WALL, PIN_RADIUS, STOP_SHORT = range(INSTRUMENTS, SHELL_DEPTH)
"""Of the instruments: walls, half the pin's diameter, and how far short of the anterior margin they stop."""

LEAST_THIRD, MOST_THIRD = SLAB + 3, SLAB + 4
"""Bounds of the middle third."""

ALONG, OUT, INSCRIBED, CIRCUMSCRIBED = range(SECTION, SECTION + 4)
"""Of the cross-section, as shares of the diameter: its extent along the joint and out of it, and the diameters of the
circles within and round it."""

(
    NEURAL_LIMIT,
    VENTRAL_LIMIT,
    OUTER_LIMIT,
    CONTAINMENT_LIMIT,
    MARGIN_LIMIT,
    NIBBLE_LIMIT,
    LEAST_AXIAL,
    MOST_AXIAL,
    LEAST_TILT,
    MOST_TILT,
    NOTCH_LIMIT,
    OFFSET_LIMIT,
    ANGLE_LIMIT,
    RADIUS_ZERO,
    RADIUS_ONE,
) = range(LIMITS, RAMPS)
"""Where each limit is in `Scene.numbers`."""


class Scene(NamedTuple):
    """Everything a pose is held against, in five pieces: each costs time in every call.

    Attributes
    ----------
    values : (z * y * x * 8,) float32 array
        The distance fields as they lie in memory; `planner.trajectory.region.FIELDS` vary fastest.
    shape_zyx : tuple of int
        Of their grid.
    numbers : (76,) array
        `PARTS`: rows of the (3, 4) matrix to the index of an LPS point; lateral (away from the midline), posterior and
        cranial of the pelvis in LPS; the mean normal of the joint's middle third, sacrum to ilium; the thirds' axis
        and the lower and upper bound of the middle third; the apex of the greater sciatic notch (NaN if unknown); the
        limits; zero and one of the score's ramps; the weights of `TERMS`; instruments; the cross-section; 1 on the left
        and -1 on the right, so that mirrored anatomy is searched in mirrored order.
    turns : (37, 2) array
        Outline of the cross-section along the joint and out of it, each as a share of half its extent there: see
        `WHOLE` and those after it.
    rim : (n, 3) array
        Points of the mid-surface's outer edge.
    """

    values: NDArray[np.float32]
    shape_zyx: tuple[int, int, int]
    numbers: Array
    turns: Array
    rim: Array

    def part(self, name: str) -> Array:
        """One of `PARTS`."""
        names = list(PARTS)
        start = sum(PARTS[before] for before in names[: names.index(name)])
        return self.numbers[start : start + PARTS[name]]


@njit(**PRIVATE)
def _dot(n, start, x, y, z):  # type: ignore[no-untyped-def]
    """Of three of the scene's numbers with a vector."""
    return n[start] * x + n[start + 1] * y + n[start + 2] * z


@njit(**PRIVATE)
def _across(scene, pose):  # type: ignore[no-untyped-def]
    """Two unit vectors across the axis: along the joint, and out of it."""
    n, i, j, k = scene.numbers, pose[3], pose[4], pose[5]
    share = _dot(n, FACING, i, j, k)
    x, y, z = n[FACING] - share * i, n[FACING + 1] - share * j, n[FACING + 2] - share * k
    length = math.sqrt(x * x + y * y + z * z)
    x, y, z = x / length, y / length, z / length
    h = n[HAND]
    return (h * (j * z - k * y), h * (k * x - i * z), h * (i * y - j * x)), (x, y, z)


@njit(**PRIVATE)
def _frame(scene, pose):  # type: ignore[no-untyped-def]
    """Rows: the index of the implant's centre, and by how much it changes with a mm along `t`, `p` and `q`."""
    along, out = _across(scene, pose)
    n, frame = scene.numbers, np.empty((4, 3))
    for axis in range(3):
        row = TO_INDEX + 4 * axis
        frame[0, axis] = _dot(n, row, pose[0], pose[1], pose[2]) + n[row + 3]
        frame[1, axis] = _dot(n, row, pose[3], pose[4], pose[5])
        frame[2, axis] = _dot(n, row, along[0], along[1], along[2])
        frame[3, axis] = _dot(n, row, out[0], out[1], out[2])
    return frame


@njit(**PRIVATE)
def _ring(scene, frame, t, half, which, sample):  # type: ignore[no-untyped-def]
    """Trilinear values of all fields at the points of a ring: the least of each, and the sum.

    `half` is its extent along the joint and out of it; `which` is the first and last of its points in `Scene.turns`.
    A whole ring at once: to hand the scene on costs as much as a point.
    """
    depth, height, width = scene.shape_zyx
    v, right = scene.values, np.uint64(FIELD_COUNT)
    down, up = np.uint64(width * FIELD_COUNT), np.uint64(height * width * FIELD_COUNT)
    least, total = sample[0], sample[1]
    least[:] = np.float32(math.inf)
    total[:] = np.float32(0)
    for point in range(which[0], which[1]):
        p, q = half[0] * scene.turns[point, 0], half[1] * scene.turns[point, 1]
        a = frame[0, 0] + t * frame[1, 0] + p * frame[2, 0] + q * frame[3, 0]
        b = frame[0, 1] + t * frame[1, 1] + p * frame[2, 1] + q * frame[3, 1]
        c = frame[0, 2] + t * frame[1, 2] + p * frame[2, 2] + q * frame[3, 2]
        if not (0 <= a <= depth - 1 and 0 <= b <= height - 1 and 0 <= c <= width - 1):
            for f in range(FIELD_COUNT):
                least[f] = min(least[f], OUTSIDE[f])
                total[f] += OUTSIDE[f]
            continue
        i, j, k = min(int(a), depth - 2), min(int(b), height - 2), min(int(c), width - 2)
        fa, fb, fc = np.float32(a - i), np.float32(b - j), np.float32(c - k)
        ga, gb, gc = np.float32(1) - fa, np.float32(1) - fb, np.float32(1) - fc
        near = np.uint64(i) * up + np.uint64(j) * down + np.uint64(k) * right
        for f in range(FIELD_COUNT):
            w = near + np.uint64(f)
            below = gb * (gc * v[w] + fc * v[w + right]) + fb * (gc * v[w + down] + fc * v[w + down + right])
            w += up
            above = gb * (gc * v[w] + fc * v[w + right]) + fb * (gc * v[w + down] + fc * v[w + down + right])
            value = ga * below + fa * above
            least[f] = min(least[f], value)
            total[f] += value


@njit(**PRIVATE)
def _half(n, diameter, more):  # type: ignore[no-untyped-def]
    """Half the extent of the cross-section along the joint and out of it, and `more` all round."""
    return 0.5 * diameter * n[ALONG] + more, 0.5 * diameter * n[OUT] + more


@njit(**PRIVATE)
def _less(distance, inside, far):  # type: ignore[no-untyped-def]
    """Distance of a ball of a radius; a distance as `far` as the fields go is not known, and may be any farther."""
    return distance - inside if distance < far - ROUNDING_MM else distance


@njit(**PRIVATE)
def _include(m, sample, inside):  # type: ignore[no-untyped-def]
    """Let a ring of the implant count, with balls of a radius round its points that lie within the implant."""
    m[NEURAL] = min(m[NEURAL], _less(sample[0, NEURAL_FIELD], inside, FAR_MM))
    m[VENTRAL] = min(m[VENTRAL], _less(sample[0, VENTRAL_FIELD], inside, FAR_MM))
    m[OUTER] = min(m[OUTER], _less(sample[0, OUTER_FIELD], inside, FAR_MM))
    m[CONTAINMENT] = min(m[CONTAINMENT], _less(sample[0, DEPTH_FIELD], inside, SOLID_REACH_MM))
    m[SACRUM_BITE] = max(m[SACRUM_BITE], -sample[0, SACRUM_FIELD])
    m[HIP_BITE] = max(m[HIP_BITE], -sample[0, HIP_FIELD])


@njit(**PRIVATE)
def _axis(scene, frame, size, m, sample):  # type: ignore[no-untyped-def]
    """Offset and angle to the mid-surface, and the articular share, on the implant's axis.

    Half the difference of the two bones' distances is the offset from the mid-surface; its slope is the angle's sine.
    """
    diameter, length = size
    stations = 2 * (math.ceil(length / STATION_MM) // 2) + 1
    inside = 0.5 * diameter * scene.numbers[INSCRIBED]
    share, slope, square = 0.0, 0.0, 0.0
    for s in range(stations):
        t = length * (s / (stations - 1) - 0.5)
        _ring(scene, frame, t, (0.0, 0.0), MIDDLE, sample)
        _include(m, sample, max(0.0, min(inside, length / 2 - abs(t))))
        offset = 0.5 * (sample[0, SACRUM_FIELD] - sample[0, HIP_FIELD])
        share += sample[0, ARTICULAR_FIELD]
        slope += t * offset
        square += t * t
        if 2 * s == stations - 1:
            m[OFFSET] = abs(offset)
    m[ARTICULAR] = share / stations
    m[ANGLE] = math.degrees(math.asin(min(1.0, abs(slope / square))))


@njit(**PRIVATE)
def _body(scene, frame, size, m, sample):  # type: ignore[no-untyped-def]
    """Clearances and bites, on rings."""
    diameter, length = size
    half, inner = _half(scene.numbers, diameter, 0.0), _half(scene.numbers, 0.5 * diameter, 0.0)
    stations = math.ceil(length / STATION_MM) + 1
    for s in range(stations):
        t = length * (s / (stations - 1) - 0.5)
        _ring(scene, frame, t, half, WHOLE, sample)
        _include(m, sample, 0.0)
        if s in (0, stations - 1):
            _ring(scene, frame, t, inner, EVEN, sample)
            _include(m, sample, 0.0)


@njit(**PRIVATE)
def _shell(scene, frame, size, m, sample):  # type: ignore[no-untyped-def]
    """Bone quality, on every second point of rings halfway through the shell."""
    diameter, length = size
    beyond = _half(scene.numbers, diameter, 0.5 * scene.numbers[SHELL_DEPTH])
    stations = math.ceil(length / STATION_MM) + 1
    total = 0.0
    for s in range(stations):
        t = length * (s / (stations - 1) - 0.5)
        _ring(scene, frame, t, beyond, ODD, sample)
        total += sample[1, HU_FIELD]
    m[SHELL] = total / (stations * (RING // 2))


@njit(**PRIVATE)
def _march(scene, frame, start, sign, sample):  # type: ignore[no-untyped-def]
    """Distance along the axis from `start` to where it leaves the solid; infinite if it does not within reach.

    Beside it the deepest bone met from 1 mm on, and how near keep-outs come to the steps.
    """
    before, deepest, near = 0.0, FAR_MM, FAR_MM
    for step in range(MARCH_STEPS + 1):
        _ring(scene, frame, start + sign * step * MARCH_MM, (0.0, 0.0), MIDDLE, sample)
        near = min(near, sample[0, NEURAL_FIELD])
        depth = sample[0, DEPTH_FIELD]
        if depth < 0:
            if step == 0:
                return 0.0, deepest, near
            return MARCH_MM * (step - depth / (depth - before)), deepest, near
        before = depth
        if step > 0:
            deepest = min(deepest, sample[0, SACRUM_FIELD], sample[0, HIP_FIELD])
    return math.inf, deepest, near


@njit(**PRIVATE)
def _access(scene, frame, size, m, sample, floor):  # type: ignore[no-untyped-def]
    """Follow the way in: the joint's dorsal mouth on the axis, and what the cannula meets behind it.

    Gives how near keep-outs come to the axis between mouth and implant. Ends at the first ring that leaves less than
    the `floor`. No field falls faster than a ring moves, so the next ring lies where it could first be the least.
    """
    diameter, length = size
    n = scene.numbers
    mouth, channel, near = _march(scene, frame, -length / 2, -1.0, sample)
    m[MOUTH] = mouth
    m[ACCESS_BONE] = channel
    if mouth == math.inf:
        m[ACCESS_BONE] = -FAR_MM
        return near
    half = _half(n, diameter, n[CANNULA_WALL])
    along = 0.0
    while along <= CANNULA_MM:
        _ring(scene, frame, -length / 2 - mouth - along, half, TUBE, sample)
        bone, neural = min(sample[0, SACRUM_FIELD], sample[0, HIP_FIELD]), sample[0, NEURAL_FIELD]
        m[ACCESS_BONE], m[ACCESS_NEURAL] = min(m[ACCESS_BONE], bone), min(m[ACCESS_NEURAL], neural)
        if min(m[ACCESS_BONE] + n[NIBBLE_LIMIT], m[ACCESS_NEURAL] - n[NEURAL_LIMIT]) < floor:
            return near
        room = min(bone - m[ACCESS_BONE], neural - min(m[ACCESS_NEURAL], n[NEURAL_LIMIT] + SPARE_MM))
        along += max(CANNULA_STATION_MM, room)
    return near


@njit(**PRIVATE)
def _instruments(scene, frame, size, m, sample, near, tightest, effort):  # type: ignore[no-untyped-def]  # noqa: PLR0913
    """Measure distractor and pin to keep-outs; `near` is how near these come to the axis before the implant.

    Last of all, and unless the `effort` is `WHOLLY` only where one could be less than the `tightest` slack that changes
    with the place. The outline is no nearer than the axis less the circle round it, nor, along the implant, than the
    implant less the wall. A pin that lies within the outline is no nearer than the cannula, the distractor and the
    implant round it.
    """
    diameter, length = size
    n = scene.numbers
    if m[MOUTH] == math.inf:
        return
    wall, limit = n[DISTRACTOR_WALL], n[NEURAL_LIMIT]
    reach = 0.5 * diameter * n[CIRCUMSCRIBED] + math.sqrt(2) * wall + 0.5 * MARCH_MM
    bound = min(near - reach, m[NEURAL] - math.sqrt(2) * wall)
    outer, stop = -length / 2 - m[MOUTH], length / 2 - max(0.0, n[STOP_SHORT] - m[ANTERIOR])
    if effort >= WHOLLY or bound - limit < tightest:
        _distractor(scene, frame, size, m, sample, outer, stop if wall > 0 else -length / 2)
    if effort >= WHOLLY or n[PIN_RADIUS] > 0.5 * diameter * n[INSCRIBED]:
        _pin(scene, frame, m, sample, outer - CANNULA_MM, stop)


@njit(**PRIVATE)
def _distractor(scene, frame, size, m, sample, outer, inner):  # type: ignore[no-untyped-def]  # noqa: PLR0913
    """Distance of the distractor's outline to keep-outs, on rings between two places on the axis."""
    half = _half(scene.numbers, size[0], scene.numbers[DISTRACTOR_WALL])
    stations = math.ceil((inner - outer) / STATION_MM) + 1
    for s in range(stations):
        t = outer + (inner - outer) * s / max(1, stations - 1)
        _ring(scene, frame, t, half, TUBE, sample)
        m[DISTRACTOR_NEURAL] = min(m[DISTRACTOR_NEURAL], sample[0, NEURAL_FIELD])


@njit(**PRIVATE)
def _pin(scene, frame, m, sample, outer, stop):  # type: ignore[no-untyped-def]
    """Distance of the pin to keep-outs, by points of its axis, and by its rim at the end: it ends flat, not round."""
    radius = scene.numbers[PIN_RADIUS]
    last = stop - radius
    stations = math.ceil((last - outer) / STATION_MM) + 1
    for s in range(stations):
        t = outer + (last - outer) * s / (stations - 1)
        _ring(scene, frame, t, (0.0, 0.0), MIDDLE, sample)
        m[PIN_NEURAL] = min(m[PIN_NEURAL], _less(sample[0, NEURAL_FIELD], radius, FAR_MM))
    _ring(scene, frame, stop, (radius, radius), TUBE, sample)
    m[PIN_NEURAL] = min(m[PIN_NEURAL], sample[0, NEURAL_FIELD])


@njit(**PRIVATE)
def _ahead(scene, frame, pose, size, m, sample):  # type: ignore[no-untyped-def]
    """From the tip to the anterior margin along the path: the joint's edge, or the way out of the bones if nearer."""
    diameter, length = size
    along, _ = _across(scene, pose)
    leave, _, _ = _march(scene, frame, length / 2, 1.0, sample)
    side, rim = 0.5 * diameter * scene.numbers[ALONG] + RIM_SIDE_MM, scene.rim
    for k in range(rim.shape[0]):
        x, y, z = rim[k, 0] - pose[0], rim[k, 1] - pose[1], rim[k, 2] - pose[2]
        t = x * pose[3] + y * pose[4] + z * pose[5]
        if t > 0 and abs(x * along[0] + y * along[1] + z * along[2]) <= side:
            leave = min(leave, t - length / 2)
    m[ANTERIOR] = leave


@njit(**PRIVATE)
def _place(scene, pose, size, m):  # type: ignore[no-untyped-def]
    """Angles in the pelvis, heights in the slabs, and the distance to the sciatic notch: all in closed form."""
    diameter, length = size
    n, i, j, k = scene.numbers, pose[3], pose[4], pose[5]
    m[AXIAL] = math.degrees(math.atan2(_dot(n, AXES, i, j, k), -_dot(n, AXES + 3, i, j, k)))
    m[TILT] = math.degrees(math.asin(max(-1.0, min(1.0, _dot(n, AXES + 6, i, j, k)))))
    rise, height = _dot(n, SLAB, i, j, k), _dot(n, SLAB, pose[0], pose[1], pose[2])
    radius = 0.5 * diameter * n[CIRCUMSCRIBED]
    m[HEIGHT] = height
    m[LOWEST] = height - abs(rise) * length / 2 - radius * math.sqrt(max(0.0, 1 - rise * rise))
    x, y, z = n[NOTCH_AT] - pose[0], n[NOTCH_AT + 1] - pose[1], n[NOTCH_AT + 2] - pose[2]
    t = x * i + y * j + z * k
    across = math.sqrt(max(0.0, x * x + y * y + z * z - t * t))
    m[NOTCH] = math.hypot(max(0.0, abs(t) - length / 2), max(0.0, across - radius))
    if math.isnan(n[NOTCH_AT]):
        m[NOTCH] = math.inf


@njit(**PRIVATE)
def _slacks(n, m, out):  # type: ignore[no-untyped-def]
    """How far each of `CONSTRAINTS` is kept, mm, negative where it is broken; gives the least."""
    out[0] = m[NEURAL] - n[NEURAL_LIMIT]
    out[1] = m[VENTRAL] - n[VENTRAL_LIMIT]
    out[2] = m[OUTER] - n[OUTER_LIMIT]
    out[3] = m[CONTAINMENT] - n[CONTAINMENT_LIMIT]
    out[4] = min(m[HEIGHT] - n[LEAST_THIRD], n[MOST_THIRD] - m[HEIGHT])
    out[5] = m[LOWEST] - n[LEAST_THIRD]
    out[6] = m[ANTERIOR] - n[MARGIN_LIMIT]
    out[7] = m[ACCESS_BONE] + n[NIBBLE_LIMIT]
    out[8] = DEGREE_MM * min(m[AXIAL] - n[LEAST_AXIAL], n[MOST_AXIAL] - m[AXIAL])
    out[9] = DEGREE_MM * min(m[TILT] - n[LEAST_TILT], n[MOST_TILT] - m[TILT])
    out[10] = m[NOTCH] - n[NOTCH_LIMIT]
    out[11] = min(n[OFFSET_LIMIT] - m[OFFSET], DEGREE_MM * (n[ANGLE_LIMIT] - m[ANGLE]))
    out[12] = m[ACCESS_NEURAL] - n[NEURAL_LIMIT]
    out[13] = m[DISTRACTOR_NEURAL] - n[NEURAL_LIMIT]
    out[14] = m[PIN_NEURAL] - n[NEURAL_LIMIT]
    least = math.inf
    for slack in out:
        least = min(least, slack)
    return least


@njit(**PRIVATE)
def _ramp(value, zero, one):  # type: ignore[no-untyped-def]
    return min(1.0, max(0.0, (value - zero) / (one - zero)))


@njit(**PRIVATE)
def _terms(n, m, out):  # type: ignore[no-untyped-def]
    """`TERMS` of the score, 0-1, and their weighted sum; the safe entry radius is left at 0."""
    r = RAMPS
    out[0] = _ramp(min(m[NEURAL], m[VENTRAL], m[OUTER]), n[r], n[r + 1])
    out[1] = min(_ramp(m[ANGLE], n[r + 2], n[r + 3]), _ramp(m[OFFSET], n[r + 4], n[r + 5]))
    out[2] = _ramp(m[ARTICULAR], n[r + 6], n[r + 7])
    middle, half = 0.5 * (n[LEAST_THIRD] + n[MOST_THIRD]), 0.5 * (n[MOST_THIRD] - n[LEAST_THIRD])
    out[3] = _ramp(abs(m[HEIGHT] - middle), half, 0.0)
    out[4] = _ramp(abs(m[SACRUM_BITE] - m[HIP_BITE]), n[r + 8], n[r + 9])
    out[5] = _ramp(m[SHELL], n[r + 10], n[r + 11])
    out[6] = 0.0
    total = 0.0
    for k in range(len(out)):
        total += out[k] * n[WEIGHTS + k]
    return total


@njit(**PRIVATE)
def _sideways(slack):  # type: ignore[no-untyped-def]
    """Least of the slacks that change with the place, not with the direction alone."""
    least = math.inf
    for k in range(len(slack)):
        if k not in (AXIAL_ANGLE, CRANIAL_TILT):
            least = min(least, slack[k])
    return least


@njit(**PUBLIC)
def spare(n, slack):  # type: ignore[no-untyped-def]
    """Give what breaks ties in the search."""
    kept = 0.0
    for k in range(SPARED):
        kept += _ramp(slack[k], 0.0, SPARE_MM)
    return SPARE_WEIGHT * kept / SPARED + TIGHT_WEIGHT * _ramp(_sideways(slack), 0.0, n[RADIUS_ZERO])


@njit(**PRIVATE)
def _promise(n, m, slack, goal):  # type: ignore[no-untyped-def]
    """Most that the score can come to after what was measured: even bites, good bone, all else as it is.

    The goal is the least slack that is of use, the value that must be beaten, the most that counts, and the least
    radius to hope for, as a term of 0-1; what the slack allows is hoped for in any case.
    """
    if goal[1] < 0:
        return math.inf
    sacrum, hip, each = m[SACRUM_BITE], m[HIP_BITE], np.empty(TERM_COUNT)
    m[SACRUM_BITE] = m[HIP_BITE] = 0.0
    m[SHELL] = n[RAMPS + 11]
    total = _terms(n, m, each)
    m[SACRUM_BITE], m[HIP_BITE] = sacrum, hip
    hoped = n[WEIGHTS + 6] * max(goal[3], _ramp(_sideways(slack), n[RADIUS_ZERO], n[RADIUS_ONE]))
    return min(total + hoped, goal[2]) + spare(n, slack)


@njit(**PRIVATE)
def _measure(scene, pose, size, m, slack, effort, goal):  # type: ignore[no-untyped-def]  # noqa: PLR0913
    """Fill `m`, all `MEASURES` but that of the shell, and the slacks; gives the least slack and the implant's frame.

    Stops at the first stage that leaves less than the goal's first number, cheapest first; what was not measured then
    counts as kept. It stops, too, where the score can no longer come above the `goal`, see `_promise`, and gives minus
    infinity. The `effort` is `ASIDE`, `NEEDED` or `WHOLLY`.
    """
    m[:] = FAR_MM
    m[SACRUM_BITE] = m[HIP_BITE] = m[OFFSET] = m[ANGLE] = 0.0
    n, sample, frame = scene.numbers, np.empty((2, FIELD_COUNT), np.float32), _frame(scene, pose)
    _place(scene, pose, size, m)
    least = _slacks(n, m, slack)
    if least < goal[0]:
        return least, frame
    _axis(scene, frame, size, m, sample)
    least = _slacks(n, m, slack)
    if least < goal[0]:
        return least, frame
    if _promise(n, m, slack, goal) <= goal[1]:
        return -math.inf, frame
    _ahead(scene, frame, pose, size, m, sample)
    near = _access(scene, frame, size, m, sample, goal[0])
    least = _slacks(n, m, slack)
    if least < goal[0]:
        return least, frame
    if _promise(n, m, slack, goal) <= goal[1]:
        return -math.inf, frame
    if effort > ASIDE:
        _body(scene, frame, size, m, sample)
    least = _slacks(n, m, slack)
    if least < goal[0]:
        return least, frame
    _instruments(scene, frame, size, m, sample, near, _sideways(slack), effort)
    return _slacks(n, m, slack), frame


@njit(**PRIVATE)
def _aside(scene, pose, size, way, radius, room, left):  # type: ignore[no-untyped-def]  # noqa: PLR0913
    """Least slack of the implant moved sideways by a radius, and what is left of those that change with the place.

    Within the `room` of its own clearances they cannot be broken, and what is left of it is no less.
    """
    u, v = _across(scene, pose)
    m, moved = np.empty(MEASURE_COUNT), pose.copy()
    for axis in range(3):
        moved[axis] = pose[axis] + radius * (way[0] * u[axis] + way[1] * v[axis])
    least, _ = _measure(scene, moved, size, m, left, ASIDE if radius < room else NEEDED, UNLESS_BROKEN)
    return least, min(_sideways(left), room - radius) if radius < room else _sideways(left)


@njit(**PRIVATE)
def _safe_radius(scene, pose, size, slack, enough, ways):  # type: ignore[no-untyped-def]
    """How far the implant may move sideways, in any of the `RADIUS_TURNS`, with every constraint kept.

    No slack in mm shrinks faster than the implant moves, so each direction is followed in steps of the slack left,
    from that of the pose itself. At most the radius for which the score is 1. Stops, with what it has, once it is no
    more than `enough`; follows in fine steps if that is negative.
    """
    left, room = np.empty(CONSTRAINT_COUNT), _room(scene, pose, size, slack)
    least, binding = scene.numbers[RADIUS_ONE], 0
    step = RADIUS_STEP_MM if enough >= 0 else FINE_RADIUS_STEP_MM
    for k in range(len(ways)):
        radius, before = 0.0, max(0.0, _sideways(slack))
        while radius < least and least > enough:
            ahead = radius + max(before, step)
            broken, after = _aside(scene, pose, size, RADIUS_TURNS[ways[k]], ahead, room, left)
            if broken < 0:  # between the two steps, where the slack is 0
                reached = radius + (ahead - radius) * before / (before - broken)
                if reached < least:
                    least, binding = reached, k
            radius, before = ahead, max(0.0, after)
    _to_front(ways, binding)
    return least


@njit(**PRIVATE)
def _to_front(ways, place):  # type: ignore[no-untyped-def]
    """Let the direction at a place of the order be the first: what binds here binds a little farther, too."""
    way = ways[place]
    for k in range(place, 0, -1):
        ways[k] = ways[k - 1]
    ways[0] = way


@njit(**PRIVATE)
def _room(scene, pose, size, slack):  # type: ignore[no-untyped-def]
    """How far the implant may move before its own clearances, or the distractor's beside it, can be broken.

    At the region's border the fields jump: it is not to come there, either.
    """
    n, frame = scene.numbers, _frame(scene, pose)
    room = min(slack[0], slack[1], slack[2], slack[3]) - math.sqrt(2) * n[DISTRACTOR_WALL]
    reach = math.hypot(0.5 * size[1], 0.5 * size[0] * n[CIRCUMSCRIBED])
    for axis in range(3):
        at, per_mm = frame[0, axis], math.sqrt(frame[1, axis] ** 2 + frame[2, axis] ** 2 + frame[3, axis] ** 2)
        room = min(room, min(at, scene.shape_zyx[axis] - 1 - at) / per_mm - reach)
    return room


@njit(**PRIVATE)
def _ends_before(scene, pose, size, slack, radius, ways):  # type: ignore[no-untyped-def]
    """Whether a move by a radius breaks a constraint in some direction; begins with those that are likely to.

    One look in each direction: cheaper than to follow one, and most moves of a climb are turned down by it.
    """
    if radius <= 0:
        return False
    left, room = np.empty(CONSTRAINT_COUNT), _room(scene, pose, size, slack)
    for k in range(len(ways)):
        broken, _ = _aside(scene, pose, size, RADIUS_TURNS[ways[k]], radius, room, left)
        if broken < 0:
            _to_front(ways, k)
            return True
    return False


@njit(**PRIVATE)
def _evaluate(scene, pose, size, cap, beat, ways):  # type: ignore[no-untyped-def]
    """Score, and a trace of the slack, of a pose that keeps every constraint; else the slack, which is negative.

    Whatever cannot be more than `beat` is not worked out: some value not above it is returned. The safe entry radius
    is measured if there are `ways`: directions in the order in which to look at them, which is changed. Else the least
    slack stands in for the radius, which is no less. More than `cap` scores no more.
    """
    n, m = scene.numbers, np.empty(MEASURE_COUNT)
    slack, each, sample = np.empty(CONSTRAINT_COUNT), np.empty(TERM_COUNT), np.empty((2, FIELD_COUNT), np.float32)
    goal = (min(beat, 0.0), beat, cap, 1.0 if len(ways) else 0.0)
    least, frame = _measure(scene, pose, size, m, slack, NEEDED, goal)
    if least < 0:
        return least
    m[SHELL] = n[RAMPS + 11]
    weight, zero, one = n[WEIGHTS + 6], n[RADIUS_ZERO], n[RADIUS_ONE]
    hoped = weight if len(ways) else weight * _ramp(_sideways(slack), zero, one)
    extra = spare(n, slack)
    if min(_terms(n, m, each) + hoped, cap) + extra <= beat:
        return beat
    _shell(scene, frame, size, m, sample)
    value = _terms(n, m, each)
    if not len(ways) or min(value + hoped, cap) + extra <= beat:
        return min(value + hoped, cap) + extra
    enough = zero + (beat - extra - value) / weight * (one - zero) if beat > value + extra else 0.0
    if _ends_before(scene, pose, size, slack, enough, ways):
        return beat
    radius = _safe_radius(scene, pose, size, slack, enough, ways)
    return min(value + weight * _ramp(radius, zero, one), cap) + extra


@njit(**PUBLIC)
def assess(scene, pose, size):  # type: ignore[no-untyped-def]
    """`MEASURES`, slacks of `CONSTRAINTS` and `TERMS` of one implant, with the safe entry radius and its term."""
    n, m = scene.numbers, np.empty(MEASURE_COUNT)
    slack, each, sample = np.empty(CONSTRAINT_COUNT), np.empty(TERM_COUNT), np.empty((2, FIELD_COUNT), np.float32)
    least, frame = _measure(scene, pose, size, m, slack, WHOLLY, WHATEVER_BREAKS)
    _shell(scene, frame, size, m, sample)
    _terms(n, m, each)
    radius = 0.0
    if least >= 0:
        radius = _safe_radius(scene, pose, size, slack, -1.0, WAYS.copy())
    each[TERM_COUNT - 1] = _ramp(radius, n[RADIUS_ZERO], n[RADIUS_ONE])
    return m, slack, each, radius


@njit(**PUBLIC)
def evaluate_all(scene, poses, diameters, lengths):  # type: ignore[no-untyped-def]
    """Value of each of ``(n, 6)`` poses with every size, and how many break each constraint.

    Sizes ascend. Where a size breaks a constraint, a larger one is taken to break it by as much: it is no less in the
    way. The slack stands in for the safe entry radius.
    """
    values = np.empty((len(poses), len(diameters), len(lengths)))
    broken = np.zeros(CONSTRAINT_COUNT, np.int64)
    which = np.zeros((len(diameters), len(lengths)), np.int64)
    m, slack = np.empty(MEASURE_COUNT), np.empty(CONSTRAINT_COUNT)
    each, sample, n = np.empty(TERM_COUNT), np.empty((2, FIELD_COUNT), np.float32), scene.numbers
    for k in range(len(poses)):
        for a in range(len(diameters)):
            for b in range(len(lengths)):
                if a > 0 and values[k, a - 1, b] < 0:
                    values[k, a, b], which[a, b] = values[k, a - 1, b], which[a - 1, b]
                elif b > 0 and values[k, a, b - 1] < 0:
                    values[k, a, b], which[a, b] = values[k, a, b - 1], which[a, b - 1]
                else:
                    size = diameters[a], lengths[b]
                    least, frame = _measure(scene, poses[k], size, m, slack, NEEDED, UNLESS_BROKEN)
                    which[a, b] = 0
                    for c in range(len(slack)):
                        which[a, b] |= np.int64(slack[c] < 0) << c
                    if least >= 0:
                        _shell(scene, frame, size, m, sample)
                        least = _terms(n, m, each) + spare(n, slack)
                        least += n[WEIGHTS + 6] * _ramp(_sideways(slack), n[RADIUS_ZERO], n[RADIUS_ONE])
                    values[k, a, b] = least
                for c in range(len(slack)):
                    broken[c] += (which[a, b] >> c) & 1
    return values, broken


@njit(**PUBLIC)
def with_radius(scene, poses, values, size):  # type: ignore[no-untyped-def]
    """Values of poses that keep every constraint with the safe entry radius measured; the others as they are."""
    out = values.copy()
    for k in range(len(poses)):
        if values[k] >= 0:
            out[k] = _evaluate(scene, poses[k], size, math.inf, 0.0, WAYS.copy())
    return out


@njit(**PRIVATE)
def _count_as_one(slack):  # type: ignore[no-untyped-def]
    """Of the constraints of `ONE_LIMIT`, leave the first that is broken."""
    broken = False
    for c in ONE_LIMIT:
        if broken:
            slack[c] = math.inf
        broken |= slack[c] < 0


@njit(**PUBLIC)
def only_broken(scene, poses, size):  # type: ignore[no-untyped-def]
    """Count, for each constraint, the poses that break it and no other, and find the best slack among them.

    Those of `ONE_LIMIT` count as one: the first of them that is broken.
    """
    alone, best = np.zeros(CONSTRAINT_COUNT, np.int64), np.full(CONSTRAINT_COUNT, -math.inf)
    m, slack = np.empty(MEASURE_COUNT), np.empty(CONSTRAINT_COUNT)
    for k in range(len(poses)):
        _measure(scene, poses[k], size, m, slack, WHOLLY, WHATEVER_BREAKS)
        _count_as_one(slack)
        broken, last = 0, 0
        for c in range(len(slack)):
            if slack[c] < 0:
                broken, last = broken + 1, c
        if broken == 1:
            alone[last] += 1
            best[last] = max(best[last], slack[last])
    return alone, best


@njit(**PUBLIC)
def is_new(pose, taken, distinct_mm, distinct_deg):  # type: ignore[no-untyped-def]
    """Whether a pose is distinct from all of ``(n, 6)`` poses: centres apart, or axes turned."""
    for k in range(len(taken)):
        square, turned = 0.0, 0.0
        for axis in range(3):
            square += (pose[axis] - taken[k, axis]) ** 2
            turned += pose[3 + axis] * taken[k, 3 + axis]
        if square < distinct_mm * distinct_mm and math.degrees(math.acos(min(1.0, turned))) < distinct_deg:
            return False
    return True


@njit(**PRIVATE)
def _move(scene, pose, move, step_mm, out):  # type: ignore[no-untyped-def]
    """Pose after a move: three shifts (axis, along the joint, out of it) and two turns (in the joint, out of it)."""
    along, across = _across(scene, pose)
    turn = math.tan(math.radians(STEP_DEG_PER_MM * step_mm))
    square = 0.0
    for k in range(3):
        out[k] = pose[k] + step_mm * (move[0] * pose[3 + k] + move[1] * along[k] + move[2] * across[k])
        out[3 + k] = pose[3 + k] + turn * (move[3] * along[k] + move[4] * across[k])
        square += out[3 + k] * out[3 + k]
    length = math.sqrt(square)
    for k in range(3, 6):
        out[k] /= length


@njit(**PUBLIC)
def climb(scene, start, size, taken, distinct, polish, cap=math.inf):  # type: ignore[no-untyped-def]  # noqa: PLR0913, C901
    """Pattern search: each move that leads up is made, and repeated, then all of a round at once; else the step is cut.

    Stays distinct from the poses `taken`. To `polish` is to score the safe entry radius, and to end with finer steps.
    Hooke and Jeeves, 10.1145/321062.321069.
    """
    pose, trial, begun = start.copy(), start.copy(), start.copy()
    ways = WAYS[: 0 if polish == ROUGHLY else len(WAYS)].copy()
    best = _evaluate(scene, pose, size, cap, -math.inf, ways)
    step, last = (FIRST_STEP_MM, POLISH_STEP_MM) if polish == ROUGHLY else (POLISH_STEP_MM, LAST_STEP_MM)
    if polish == FULLY:
        step = FIRST_STEP_MM
    while step >= last:
        before = best
        for k in range(6):
            begun[k] = pose[k]
        for k in range(2 * len(MOVES)):
            sign = 1.0 - 2.0 * (k % 2)
            while True:
                _move(scene, pose, MOVES[k // 2], sign * step, trial)
                if not is_new(trial, taken, distinct[0], distinct[1]):
                    break
                value = _evaluate(scene, trial, size, cap, best, ways)
                if value <= best + LEAST_GAIN:
                    break
                pose, trial, best = trial, pose, value
        if best <= before + LEAST_GAIN:
            step *= STEP_CUT
            continue
        _carry_on(begun, pose, trial)
        if is_new(trial, taken, distinct[0], distinct[1]):
            value = _evaluate(scene, trial, size, cap, best, ways)
            if value > best + LEAST_GAIN:
                pose, trial, best = trial, pose, value
    return pose, best


@njit(**PRIVATE)
def _carry_on(begun, pose, out):  # type: ignore[no-untyped-def]
    """Go as far again as all moves of a round led together: along a ridge, no single one leads up."""
    square = 0.0
    for k in range(6):
        out[k] = 2 * pose[k] - begun[k]
        square += out[k] * out[k] if k > 2 else 0.0
    length = math.sqrt(square)
    for k in range(3, 6):
        out[k] /= length


@njit(**PUBLIC)
def breached(scene, poses, nearer, size, floors):  # type: ignore[no-untyped-def]
    """Which of ``(n, 6)`` poses bring one of `BREACH` below its floor; at a floor of 0, to touch.

    All structures are nearer by ``nearer[k]`` than they are drawn.
    """
    found, m, sample = np.zeros(len(poses), np.bool_), np.empty(MEASURE_COUNT), np.empty((2, FIELD_COUNT), np.float32)
    for k in range(len(poses)):
        m[:] = FAR_MM
        frame = _frame(scene, poses[k])
        _axis(scene, frame, size, m, sample)
        _ahead(scene, frame, poses[k], size, m, sample)
        _body(scene, frame, size, m, sample)
        for b in range(len(BREACH)):
            left = m[BREACH[b]] - nearer[k] - floors[b]
            if left < 0 or (b > 0 and left <= 0):
                found[k] = True
                break
    return found
