"""The views that a surgeon asks for, as C-arm angles for this patient. Their convention: `planner.fluoroscopy.angles`.

- *ap*: where the C-arm starts, perpendicular to the coronal plane of the pelvic frame.
- *inlet*: along the anterior wall of S1 in the midline, so that the wall is seen as a line; 20.5 (7-37) degrees on CT
  (Eastman and Routt, 10.1007/s10195-015-0363-x), 22.5 +/- 9.5 (Tanoglu, J Orthop Res 2023). The detector goes to the
  feet.
- *outlet*: within the S1 endplate, which is seen as a line; 42.8 (30-59) and 40.3 +/- 7.6 degrees in the same papers.
  The detector goes to the head.
- *lateral*: along the pelvic frame's left-right axis, detector on the side that is planned.
- *joint*: where the joint line is sharpest: of the positions allowed, that whose ray makes the smallest angle with the
  articular surface, in the mean square over its area.
- *down_the_implant*: along the implant, detector at its near end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.fluoroscopy.angles import Angles, angles_of
from planner.fluoroscopy.config import FluoroscopyConfig
from planner.joint.model import Joint, Zone
from planner.labels import Label, Side
from planner.segmentation.bearings import Bearings
from planner.segmentation.model import Bones

__all__ = ["DOWN", "CArmView", "down_view", "find_views", "joint_view"]

DOWN = "down_the_implant"
"""Name of the view along the implant."""

INLET_TILT_DEG, OUTLET_TILT_DEG = -22.5, 40.3
"""Means of 200 people (Tanoglu, J Orthop Res 2023), where the scan does not show this patient's S1."""

WALL_MM = (2.0, 25.0)
"""So far behind the promontory its wall is taken: about the height of S1 `[P]`."""

WALL_BELOW_MM = 20.0
"""The wall lies within this below the promontory, at most `[P]`."""

WALL_STEP_MM, MIDLINE_MM = 0.5, (-4.0, -2.0, 0.0, 2.0, 4.0)
"""Samples of the wall, and the sagittal planes round the midline in which it is looked for."""

STEP_DEG = 0.5
"""Of the search for the joint view; nobody sets a C-arm better."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class CArmView:
    """One view.

    Attributes
    ----------
    name : str
        As in the module's list.
    angles : Angles
        Of the C-arm.
    basis : str
        What it rests on, in words.
    """

    name: str
    angles: Angles
    basis: str


def find_views(
    bones: Bones, bearings: Bearings, side: Side, joint: Joint | None, config: FluoroscopyConfig
) -> dict[str, CArmView]:
    """Find the views of one side that need no implant, by name."""
    lateral = Angles(90.0 * side.lateral_x, 0.0)
    views = [
        CArmView("ap", Angles(0.0, 0.0), "pelvic frame"),
        _inlet(bones, bearings),
        _outlet(bones, bearings),
        CArmView("lateral", lateral, f"pelvic frame; detector on the patient's {side}"),
    ]
    if joint is not None and (joint.zone == Zone.ARTICULAR).any():
        views.append(joint_view(joint, bones, config))
    return {view.name: view for view in views}


def down_view(direction_lps: Vector, bones: Bones) -> CArmView:
    """View along an implant, given its unit vector of insertion."""
    return CArmView(DOWN, angles_of(-direction_lps, bones.frame), "the implant's axis")


def _outlet(bones: Bones, bearings: Bearings) -> CArmView:
    if bearings.endplate is None:
        return CArmView("outlet", Angles(0.0, OUTLET_TILT_DEG), "mean of 200 people: the S1 endplate was not seen")
    normal = bearings.endplate.normal_lps
    slope = math.atan2(float(-normal @ bones.frame.posterior_lps), float(normal @ bones.frame.cranial_lps))
    return CArmView("outlet", Angles(0.0, math.degrees(slope)), "within this patient's S1 endplate")


def _inlet(bones: Bones, bearings: Bearings) -> CArmView:
    wall = _anterior_wall(bones, bearings.landmarks_lps)
    if len(wall) < len(MIDLINE_MM) * (WALL_MM[1] - WALL_MM[0]) / WALL_STEP_MM / 2:
        return CArmView(
            "inlet", Angles(0.0, INLET_TILT_DEG), "mean of 200 people: the anterior wall of S1 was not seen"
        )
    slope = np.polyfit(wall[:, 0], wall[:, 1], 1)[0]
    return CArmView("inlet", Angles(0.0, math.degrees(math.atan(slope))), "along this patient's anterior wall of S1")


def _anterior_wall(bones: Bones, landmarks_lps: Mapping[str, Vector]) -> Vector:
    """Points of S1's anterior wall near the midline: how far behind and above the promontory, (n, 2) mm."""
    if "promontory" not in landmarks_lps:
        return np.zeros((0, 2))
    start, axes = landmarks_lps["promontory"], bones.frame.lps_from_pelvic[:3, :3]
    behind = np.arange(*WALL_MM, WALL_STEP_MM)
    above = np.arange(-WALL_BELOW_MM, WALL_STEP_MM, WALL_STEP_MM)
    places = np.stack(np.meshgrid(MIDLINE_MM, behind, above, indexing="ij"), axis=-1)
    grid = bones.labels.grid
    index = np.rint(grid.to_index(start + places @ axes.T)).astype(np.intp)
    inside = ((index >= 0) & (index < grid.shape_zyx)).all(axis=-1)
    index[~inside] = 0
    sacrum = inside & (bones.labels.values[tuple(np.moveaxis(index, -1, 0))] == Label.SACRUM)
    lowest = sacrum.argmax(axis=-1)
    met = lowest > 0  # a column that begins in bone has its wall farther down
    wall: Vector = np.stack([np.broadcast_to(behind, lowest.shape)[met], above[lowest[met]]], axis=-1)
    return wall


def joint_view(joint: Joint, bones: Bones, config: FluoroscopyConfig) -> CArmView:
    """Find the sharpest view of a joint, and how far the surface lies from the ray, in degrees, root mean square."""
    spread = _normal_spread(joint) if len(joint.faces) else np.eye(3)
    orbital, tilt = (
        np.arange(low, high + STEP_DEG / 2, STEP_DEG)
        for low, high in (config.joint_view_orbital_deg, config.joint_view_tilt_deg)
    )
    o, t = np.radians(np.stack(np.meshgrid(orbital, tilt, indexing="ij")))
    rays = (
        np.stack([np.cos(t) * np.sin(o), np.cos(t) * np.cos(o), np.sin(t)], axis=-1)
        @ bones.frame.lps_from_pelvic[:3, :3].T
    )
    off = np.einsum("...i,ij,...j->...", rays, spread, rays)
    best = np.unravel_index(np.round(off, 9).argmin(), off.shape)
    off_deg = math.degrees(math.asin(math.sqrt(min(1.0, max(0.0, float(off[best]))))))
    found = Angles(float(orbital[best[0]]), float(tilt[best[1]]))
    return CArmView(
        "joint", found, f"sharpest joint line; its surface lies {off_deg:.0f} degrees off the ray on average"
    )


def _normal_spread(joint: Joint) -> Vector:
    """Mean of ``n n'`` over the articular zone's area: of a unit vector it gives the squared sine to the surface."""
    corners = joint.vertices_lps[joint.faces[(joint.zone[joint.faces] == Zone.ARTICULAR).all(axis=1)]]
    crossed = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.maximum(np.linalg.norm(crossed, axis=1), 1e-12)
    spread: Vector = (crossed / area[:, None]).T @ crossed / max(float(area.sum()), 1e-12)
    return spread
