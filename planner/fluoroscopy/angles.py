"""The convention of C-arm angles, and directions in it.

The patient lies prone, the X-ray tube under the table and the detector above the back. The C-arm starts at (0, 0): its
central ray runs from anterior to posterior, perpendicular to the coronal plane of the patient's own pelvic frame
(`planner.segmentation.model.PelvicFrame`), whatever way the patient lay in the scanner. From there

- *orbital*: rotation about the patient's long axis; positive where the detector goes to the patient's left;
- *tilt*: rotation towards head or feet; positive where the detector goes to the head.

The unit vector from the tube to the detector, in pelvic left, posterior and cranial, is
``(cos t sin o, cos t cos o, sin t)``. Pictures are shown as seen from the detector, head up: at (0, 0) the patient's
left is on the left, as it is for an operator who looks at the back.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from planner.segmentation.model import PelvicFrame

__all__ = ["Angles", "angles_of", "detector_axes"]

Vector = NDArray[np.float64]


class Angles(NamedTuple):
    """A position of the C-arm, degrees."""

    orbital_deg: float
    tilt_deg: float


def detector_axes(angles: Angles, frame: PelvicFrame) -> tuple[Vector, Vector, Vector]:
    """Give unit vectors (LPS) along a picture's right and up and from the tube to the detector, right-handed.

    Up is the way in which the detector moves when the C-arm is tilted towards the head.
    """
    o, t = np.radians(angles)
    ray = np.array([math.cos(t) * math.sin(o), math.cos(t) * math.cos(o), math.sin(t)])
    up = np.array([-math.sin(t) * math.sin(o), -math.sin(t) * math.cos(o), math.cos(t)])
    right, up, ray = np.stack([np.cross(up, ray), up, ray]) @ frame.lps_from_pelvic[:3, :3].T
    return right, up, ray


def angles_of(ray_lps: Vector, frame: PelvicFrame) -> Angles:
    """Position of the C-arm whose central ray runs along a unit vector (LPS), from the tube to the detector."""
    left, posterior, cranial = (float(ray_lps @ axis) for axis in frame.lps_from_pelvic[:3, :3].T)
    return Angles(math.degrees(math.atan2(left, posterior)), math.degrees(math.asin(max(-1.0, min(1.0, cranial)))))
