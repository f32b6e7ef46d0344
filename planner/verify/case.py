"""The three files of a result folder, and one candidate of them as geometry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from planner.verify.image import Image, read_image, surface_of_cylinder, surface_of_prism
from planner.verify.surface import JointSurface, read_surface

__all__ = ["HIPS", "SIDES", "Case", "Dowel", "closed", "is_neural", "least_distance", "point", "read_case"]

SIDES = ("left", "right")
"""Keys of the plan's sides."""

SACRUM = 1
"""Value of the sacrum in ``labels.nii.gz``."""

HIPS = {"left": 2, "right": 3}
"""Values of the hip bones in ``labels.nii.gz``."""

SOFT = 31
"""Value of soft keep-outs in ``keepout.nii.gz``; all others are neural."""

BEHIND_MM, AHEAD_MM, BEYOND_MM, AROUND_MM = 100.0, 70.0, 6.0, 10.0
"""Farthest that a tip may be deep in bone or short of the anterior margin; how far beyond either, and how far round
the axis, is looked."""

CLOSING_MM = 5.0
"""The bones with gaps of up to twice this closed are the solid that holds the implant."""

NEURAL_REACH_MM = 40.0
"""Keep-outs farther from an implant than this are not looked for."""

JOINT_REACH_MM = 45.0
"""Box round an implant that holds the joint it is in."""

ARTICULAR_GAP_MM = 8.0
"""Where sacrum and hip bone are nearer than this, there is joint."""

SQUARE = 1e-3
"""Cosine by which axes that are square to each other may be off."""

TURNED = "patient-position"
"""Finding of a scan whose header has the patient lie otherwise: its axes are not the patient's."""

MOST_MM = 200.0
"""No implant is longer or wider."""

EVERY = 50
"""Of the points of a surface, how many are looked at first."""

MOST_BLOCK = 32
"""Voxels to a block that a plan may claim along an axis."""

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Case:
    """A plan and the label files beside it."""

    plan: Mapping[str, Any]
    labels: Image
    keepout: Image
    surfaces: Mapping[str, JointSurface] = field(default_factory=dict)

    @cached_property
    def axes(self) -> Points:
        """Patient's left, posterior and cranial as rows: the scan's, unless the plan says that its header is wrong.

        Raises
        ------
        ValueError
            If the frame that the plan then states is no right-handed one, or the foramina do not descend in it.
        """
        if not any(finding["code"] == TURNED for finding in self.plan.get("findings", ())):
            return np.eye(3)
        frame = np.stack([point(self.plan["pelvic_frame"][f"{name}_lps"]) for name in ("left", "posterior", "cranial")])
        mouths = [f for side in self.plan["sides"].values() for f in side["foramina"]]
        levels = [int(mouth["level"][1:]) for mouth in mouths]
        heights = [float(point(mouth["centre_lps_mm"]) @ frame[2]) for mouth in mouths]
        rising = len(mouths) > 1 and float(np.cov(levels, heights)[0, 1]) > 0
        if np.abs(frame @ frame.T - np.eye(3)).max() > SQUARE or np.linalg.det(frame) < 0 or rising:
            raise ValueError("the pelvic frame is not a right-handed one with the foramina from S1 down")
        return frame

    @cached_property
    def centroids(self) -> dict[int, Points]:
        """Mean place of sacrum and hip bones, LPS."""
        found = {value: self.labels.values == value for value in (SACRUM, *HIPS.values())}
        return {value: self.labels.points(mask).mean(axis=0) for value, mask in found.items() if mask.any()}

    @cached_property
    def joint_points(self) -> dict[str, Points]:
        """Voxels of the sacrum near each side's hip bone, LPS, round the side's first candidate."""
        return {
            side: self._near_hip(side, entry["candidates"][0])
            for side, entry in self.plan["sides"].items()
            if entry["candidates"]
        }

    def _near_hip(self, side: str, claims: Mapping[str, Any]) -> Points:
        box = self.labels.around(point(claims["implant_tip_lps_mm"])[None], JOINT_REACH_MM)
        near = box.distance(box.values == HIPS[side]) <= ARTICULAR_GAP_MM
        return box.points((box.values == SACRUM) & near)


@dataclass(frozen=True, eq=False)
class Dowel:
    """One candidate as a cylinder among the labels."""

    case: Case
    side: str
    claims: Mapping[str, Any]

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"candidate {self.claims['rank']}"

    @cached_property
    def entry(self) -> Points:
        """Centre of the near end face, LPS."""
        return point(self.claims["implant_entry_lps_mm"])

    @cached_property
    def tip(self) -> Points:
        """Centre of the far end face, LPS."""
        return point(self.claims["implant_tip_lps_mm"])

    @property
    def centre(self) -> Points:
        """Middle of the axis, LPS."""
        return np.asarray((self.entry + self.tip) / 2)

    @property
    def length(self) -> float:
        """From end to end."""
        return _sized(float(np.linalg.norm(self.tip - self.entry)))

    @property
    def direction(self) -> Points:
        """Unit vector from entry to tip."""
        return np.asarray((self.tip - self.entry) / self.length)

    @property
    def radius(self) -> float:
        """Half the claimed diameter."""
        return _sized(float(self.claims["implant"]["diameter_mm"]) / 2)

    def stations(self, step_mm: float) -> int:
        """How many steps, no longer than this, its length takes."""
        return int(np.ceil(round(self.length, 2) / step_mm))

    @cached_property
    def surface(self) -> Points:
        """Dense points of its surface."""
        section = self.claims.get("section")
        if section is None:
            return surface_of_cylinder(self.entry, self.tip, self.radius)
        across = np.stack([point(axis) for axis in section["across_lps"]])
        if np.abs(np.vstack([across, self.direction]) @ across.T - np.eye(3, 2)).max() > SQUARE:
            raise ValueError("the axes of a cross-section are not square to each other and to the implant")
        return surface_of_prism(self.entry, self.tip, np.asarray(section["corners_mm"], float) @ across)

    @cached_property
    def bones(self) -> Image:
        """Labels round it and its axis before and behind."""
        depth = min(float(self.claims["depth_from_bone_mm"]) + BEYOND_MM, BEHIND_MM)
        margin = self.claims["clearance"].get("anterior_margin", {"mm": 0.0})
        ahead = min(float(margin["mm"]) + BEYOND_MM, AHEAD_MM)
        ends = np.vstack([self.tip - depth * self.direction, self.tip + ahead * self.direction, self.surface])
        return self.case.labels.around(ends, AROUND_MM)

    @cached_property
    def sacrum(self) -> Points:
        """Signed distance to the sacrum there."""
        return self.bones.distance(self.bones.values == SACRUM)

    @cached_property
    def hip(self) -> Points:
        """Signed distance to the own hip bone there."""
        return self.bones.distance(self.bones.values == HIPS[self.side])

    @cached_property
    def solid(self) -> Points:
        """Signed distance to the closing of the two by a ball."""
        return closed(self.bones, np.minimum(self.sacrum, self.hip))

    def clearance(self, claim: str) -> Mapping[str, Any]:
        """Look up a claimed clearance."""
        found: Mapping[str, Any] = self.claims["clearance"][claim]
        return found

    @cached_property
    def neural_centre_distance(self) -> float:
        """Least distance from its surface to a neural keep-out voxel's centre, mm; infinite if there is none near."""
        near = self.case.keepout.around(self.surface, NEURAL_REACH_MM)
        return least_distance(self.surface, near.points(is_neural(near.values)))

    @cached_property
    def soft_centre_distance(self) -> float:
        """The same to a soft keep-out."""
        near = self.case.keepout.around(self.surface, NEURAL_REACH_MM)
        return least_distance(self.surface, near.points(near.values == SOFT))


def _sized(mm: float) -> float:
    """Let pass what may be an implant's size: points are laid on it.

    Raises
    ------
    ValueError
        If it is none.
    """
    if not 0 <= mm <= MOST_MM:
        raise ValueError(f"expected an implant of at most {MOST_MM:g} mm, found {mm:g} mm")
    return mm


def closed(image: Image, either: Points) -> Points:
    """Signed distance to the closing, by a ball, of bones of which the nearest is this far."""
    return image.distance(image.distance(either <= CLOSING_MM) <= -CLOSING_MM)


def is_neural(values: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Canal and foramina: every keep-out but the soft ones."""
    return np.asarray((values > 0) & (values != SOFT))


def least_distance(surface: Points, points: Points) -> float:
    """Least distance between two clouds of points, mm; infinite if the second is empty."""
    if not len(points):
        return float("inf")
    tree = cKDTree(points)
    near = float(tree.query(surface[::EVERY])[0].min())
    # what is farther than the nearest so far need not be looked for
    return min(near, float(tree.query(surface, distance_upper_bound=near)[0].min()))


def point(values: Any) -> Points:
    """Three finite numbers as an LPS point.

    Raises
    ------
    ValueError
        If they are not.
    """
    found = np.asarray(values, np.float64)
    if found.shape != (3,) or not np.isfinite(found).all():
        raise ValueError(f"expected three finite numbers, found {values!r}")
    return found


def read_case(folder: Path) -> Case:
    """Read plan and labels.

    Raises
    ------
    OSError, RuntimeError, ValueError
        If one of the files is not there or cannot be read.
    """
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    if not isinstance(plan, dict):
        raise ValueError("plan.json does not hold an object")
    blocks = _blocks(plan)
    labels, keepout = (read_image(folder / f"{name}.nii.gz", blocks) for name in ("labels", "keepout"))
    return Case(plan, labels, keepout, _surfaces(folder, plan))


def _surfaces(folder: Path, plan: Mapping[str, Any]) -> dict[str, JointSurface]:
    """Joint surfaces that lie beside the plan."""
    found = {side: folder / f"joint_{side}.ply" for side in SIDES}
    return {side: read_surface(path) for side, path in found.items() if path.exists()}


def _blocks(plan: Mapping[str, Any]) -> tuple[int, int, int]:
    """Voxels of the files along each axis that were one voxel to the planner."""
    scan = plan.get("input")
    stated = scan.get("blocks_zyx", (1, 1, 1)) if isinstance(scan, dict) else (1, 1, 1)
    if len(stated) != 3 or not all(isinstance(n, int) and 1 <= n <= MOST_BLOCK for n in stated):
        raise ValueError(f"plan.json: found blocks_zyx {stated!r}, expected three numbers from 1 to {MOST_BLOCK}")
    return stated[0], stated[1], stated[2]
