"""The way to the joint as the operator sees it: angles in the pelvis, the C-arm, and the skin."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.labels import Side
from planner.segmentation.model import PelvicFrame
from planner.volume import Volume

__all__ = ["c_arm_down", "insertion_angles", "scan_angles", "skin_entry"]

SKIN_HU = -300.0
"""Between air and fat: the body's surface."""

AIR_RUN_MM = 8.0
"""Air this long outside the body's surface makes it the skin, not gas within [P]."""

STEP_MM = 0.5
"""Step along the axis."""

PADDING_HU = -1024
"""What fills the corners beyond the scanner's field of view: not air that was seen."""

LONGEST_MM = 400.0
"""Farthest skin."""

Points = NDArray[np.float64]


def insertion_angles(direction_lps: Points, frame: PelvicFrame, side: Side) -> tuple[float, float]:
    """Axial angle to the sagittal plane and cranial tilt, degrees, of an insertion direction in the pelvic frame.

    The axial angle is positive from posteromedial to anterolateral, the tilt where the tip points cranially.
    """
    lateral = side.lateral_x * float(direction_lps @ frame.left_lps)
    anterior, cranial = -float(direction_lps @ frame.posterior_lps), float(direction_lps @ frame.cranial_lps)
    return math.degrees(math.atan2(lateral, anterior)), math.degrees(math.asin(max(-1.0, min(1.0, cranial))))


def scan_angles(direction_lps: Points, side: Side) -> tuple[float, float]:
    """Give the same angles to the scanner's sagittal and axial planes."""
    lateral = side.lateral_x * float(direction_lps[0])
    tilt = math.degrees(math.asin(max(-1.0, min(1.0, float(direction_lps[2])))))
    return math.degrees(math.atan2(lateral, -float(direction_lps[1]))), tilt


def c_arm_down(direction_lps: Points, frame: PelvicFrame) -> tuple[float, float]:
    """C-arm angles that look down an insertion direction, for a patient lying prone: ``(orbital_deg, tilt_deg)``.

    The central ray lies along the direction and the detector is above the patient's back. At (0, 0) the ray is
    perpendicular to the coronal plane of the pelvic frame. Orbital: rotation about the patient's long axis, positive
    where the detector goes to the patient's left. Tilt: positive where the detector goes to the head (cephalad). The
    detector's direction is ``(cos t sin o, cos t cos o, sin t)`` in pelvic left, posterior, cranial.
    """
    detector = -direction_lps
    left, posterior = float(detector @ frame.left_lps), float(detector @ frame.posterior_lps)
    cranial = float(detector @ frame.cranial_lps)
    return math.degrees(math.atan2(left, posterior)), math.degrees(math.asin(max(-1.0, min(1.0, cranial))))


def skin_entry(volume: Volume, start_lps: Points, direction_lps: Points) -> Points:
    """First point outward where the body ends in a run of air; NaN where the scan does not hold it."""
    nowhere = np.full(3, np.nan)
    steps = np.arange(0.0, LONGEST_MM, STEP_MM)
    points = start_lps + steps[:, None] * direction_lps
    inside = volume.grid.contains(points)
    points = points[: len(points) if inside.all() else int(inside.argmin())]
    if not len(points):
        return nowhere
    index = volume.grid.to_index(points).T
    hu = ndi.map_coordinates(volume.hu, index, output=np.float32, order=1, mode="nearest")
    run = round(AIR_RUN_MM / STEP_MM)
    air = np.convolve(hu < SKIN_HU, np.ones(run, int))[run - 1 :] == run
    if not air.any():
        return nowhere
    first = int(air.argmax())
    if first == 0 or (hu[first + run // 2 : first + run] <= PADDING_HU).all():  # its start blends into the body
        return nowhere
    share = (hu[first - 1] - SKIN_HU) / max(float(hu[first - 1] - hu[first]), 1e-6)
    skin: Points = points[first - 1] + min(max(float(share), 0.0), 1.0) * STEP_MM * direction_lps
    return skin
