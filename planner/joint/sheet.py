"""The mid-surface: points equidistant from the facing bones, as one connected sheet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from planner.joint.config import JointConfig
from planner.joint.faces import FacingBones
from planner.joint.mesh import Sheet

__all__ = ["Measured", "measure", "mid_surface"]

NEWTON_STEPS = 4
"""Steps to equidistance; the faces are smooth, and a step halves the error at least."""

STEP_LIMIT_MM = 1.0
"""Longest step of a vertex: the sheet starts within a voxel."""

SETTLED_MM = 0.01
"""Vertices whose distances to the faces differ by less are not moved on: half of it is far below what is seen."""

Points = NDArray[np.float64]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measured:
    """A sheet with what it measures at each vertex.

    Attributes
    ----------
    sheet : Sheet
        The surface.
    sacrum_mm, hip_mm : (n,) float64 arrays
        Distance to each face, positive outside the bone.
    across_lps : (n, 3) float64 array
        Unit vectors from the sacral to the iliac face.
    opening_deg : (n,) float64 array
        Angle between the faces: 0 parallel and facing.
    """

    sheet: Sheet
    sacrum_mm: Numbers
    hip_mm: Numbers
    across_lps: Points
    opening_deg: Numbers

    @property
    def gap_mm(self) -> Numbers:
        """Bone to bone distance; negative where the labels overlap."""
        return self.sacrum_mm + self.hip_mm

    def take(self, mask: NDArray[np.bool_]) -> Measured:
        """Keep the part of the sheet whose vertices are in `mask`."""
        sheet, kept = self.sheet.take(mask)
        return Measured(sheet, self.sacrum_mm[kept], self.hip_mm[kept], self.across_lps[kept], self.opening_deg[kept])

    def where(self, mask: NDArray[np.bool_], other: Measured) -> Measured:
        """Take the vertices in `mask` from `other`, which has the same triangles."""
        wide = mask[:, None]
        return Measured(
            self.sheet.moved(np.where(wide, other.sheet.vertices_lps, self.sheet.vertices_lps)),
            np.where(mask, other.sacrum_mm, self.sacrum_mm),
            np.where(mask, other.hip_mm, self.hip_mm),
            np.where(wide, other.across_lps, self.across_lps),
            np.where(mask, other.opening_deg, self.opening_deg),
        )


def mid_surface(bones: FacingBones, config: JointConfig) -> Measured | None:
    """Cut the sheet out of ``d_sacrum = d_hip``, settle it between the faces and keep what faces; None without one."""
    raw = _zero_sheet(bones, config.recess_gap_mm + 2.0)
    if raw is None:
        return None
    measured = _settle(raw, bones)
    kept = _facing(measured, config)
    return measured.take(kept) if kept.any() else None


def measure(sheet: Sheet, bones: FacingBones) -> Measured:
    """Distances of each vertex to both faces, and how the faces lie to each other there."""
    return Measured(sheet, *_at(sheet.vertices_lps, bones))


def _at(points_lps: Points, bones: FacingBones) -> tuple[Numbers, Numbers, Points, Numbers]:
    """Measure points: distances to sacrum and hip bone, unit vectors across, and the angle between the faces."""
    sacrum_mm, sacral = bones.sacrum.signed_distance(points_lps)
    hip_mm, iliac = bones.hip.signed_distance(points_lps)
    across = sacral - iliac
    length = np.linalg.norm(across, axis=1, keepdims=True)
    across = across / np.where(length > 1e-9, length, 1.0)
    facing = np.clip(-np.einsum("ij,ij->i", sacral, iliac), -1.0, 1.0)
    return sacrum_mm, hip_mm, across, np.degrees(np.arccos(facing))


def _zero_sheet(bones: FacingBones, reach_mm: float) -> Sheet | None:
    difference = bones.sacrum_mm - bones.hip_mm
    near = bones.sacrum_mm + bones.hip_mm < reach_mm
    if min(difference.shape) < 2 or not (difference[near].min(initial=1.0) < 0 < difference[near].max(initial=-1.0)):
        return None
    try:
        vertices, faces, _, _ = marching_cubes(difference, 0.0, mask=near, allow_degenerate=False)  # type: ignore[no-untyped-call]
    except (ValueError, RuntimeError):  # no cell of the region holds the level
        return None
    sheet = Sheet(bones.grid.to_lps(vertices), faces.astype(np.int32))
    return sheet.take(sheet.largest(np.ones(len(vertices), bool)))[0]


def _settle(raw: Sheet, bones: FacingBones) -> Measured:
    """Smooth the cut's ripple away, move each vertex to equidistance, turn the triangles lateral."""
    smooth = raw.smooth(raw.vertices_lps, rings=2)
    sheet = Sheet(np.where(raw.rim[:, None], raw.vertices_lps, smooth), raw.faces)
    measured = measure(sheet, bones)
    for _ in range(NEWTON_STEPS):
        measured = _moved(measured, bones)
    return _turned_lateral(measured)


def _moved(measured: Measured, bones: FacingBones) -> Measured:
    """Take one step to equidistance with the vertices that are not there yet."""
    astray = np.abs(measured.hip_mm - measured.sacrum_mm) > SETTLED_MM
    vertices = measured.sheet.vertices_lps.copy()
    vertices[astray] += _step(measured)[astray]
    values = [v.copy() for v in (measured.sacrum_mm, measured.hip_mm, measured.across_lps, measured.opening_deg)]
    for old, new in zip(values, _at(vertices[astray], bones), strict=True):
        old[astray] = new
    return Measured(Sheet(vertices, measured.sheet.faces), *values)


def _step(measured: Measured) -> Points:
    """Move by half the difference along `across`, more where the faces diverge."""
    divergence = np.cos(np.radians(measured.opening_deg) / 2)
    length = (measured.hip_mm - measured.sacrum_mm) / (2 * np.maximum(divergence, 0.3))
    step: Points = np.clip(length, -STEP_LIMIT_MM, STEP_LIMIT_MM)[:, None] * measured.across_lps
    return step


def _turned_lateral(measured: Measured) -> Measured:
    across = measured.across_lps[measured.sheet.faces].sum(axis=1)
    agreement = np.einsum("ij,ij->i", measured.sheet.face_normals(), across) @ measured.sheet.face_areas_mm2
    if agreement >= 0:
        return measured
    return Measured(
        measured.sheet.flipped(), measured.sacrum_mm, measured.hip_mm, measured.across_lps, measured.opening_deg
    )


def _facing(measured: Measured, config: JointConfig) -> NDArray[np.bool_]:
    """Where the bones face each other: one part, no holes, no frayed rim."""
    sheet = measured.sheet
    rings = sheet.rings(1.5)
    gap = sheet.smooth(measured.gap_mm, rings)
    opening = sheet.smooth(measured.opening_deg, rings)
    settled = np.abs(measured.sacrum_mm - measured.hip_mm) < 0.5
    close = (gap < config.recess_gap_mm) & (opening < config.facing_angle_deg)
    close |= gap < config.articular_gap_mm
    close = sheet.grow(sheet.shrink(close & settled, rings), rings) & close
    return sheet.fill(sheet.largest(close))
