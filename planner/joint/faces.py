"""The facing surfaces of two bones, below the voxel: points and outward normals of a smoothed label."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

from planner.grid import Grid
from planner.joint.label_distance import label_distance, resample
from planner.joint.sampling import sample_at
from planner.labels import Label
from planner.segmentation.shapes import boxes_of
from planner.volume import Box, LabelMap

__all__ = ["Face", "FacingBones", "facing_bones"]

SMOOTHING_VOXELS = 0.5
"""Gaussian on the signed distance, in voxels. Measured on pelves of the JHU atlas voxelised at 1 mm (gap against
the meshes in the articular zone): 0.3 reads 0.14 mm too narrow, 0.5 0.03 mm, 0.7 reads 0.05 mm too wide and
rounds the joint's rim."""

DEEPEST_MM = 21.0
"""No place in the sacrum or an ilium is deeper: what lies that deep in one is so much farther from the other `[P]`."""

Points = NDArray[np.float64]
Field = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Face:
    """A bone's surface as oriented points.

    Attributes
    ----------
    points_lps, normals_lps : (n, 3) float64 arrays
        Points about half a voxel apart, unit normals out of the bone.
    """

    points_lps: Points
    normals_lps: Points

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.points_lps)

    def signed_distance(self, points_lps: Points) -> tuple[NDArray[np.float64], Points]:
        """Distance (mm, positive outside the bone) to the plane of the nearest point, and its normal.

        The plane, not the point: the points lie on a surface that is flat at their spacing, and the distance to
        the nearest of them is too long by up to that spacing squared over twice the distance.
        """
        _, nearest = self._tree.query(points_lps)
        normals = self.normals_lps[nearest]
        distance: NDArray[np.float64] = np.einsum("ij,ij->i", points_lps - self.points_lps[nearest], normals)
        return distance, normals


@dataclass(frozen=True, eq=False)
class FacingBones:
    """Sacrum and hip bone where they come near each other.

    Attributes
    ----------
    grid : Grid
        Isotropic, axes of the scan.
    sacrum_mm, hip_mm : (z, y, x) float32 arrays
        Signed distances, positive outside.
    sacrum, hip : Face
        Their surfaces.
    """

    grid: Grid
    sacrum_mm: Field
    hip_mm: Field
    sacrum: Face
    hip: Face


def facing_bones(labels: LabelMap, hip: Label, spacing_mm: float, reach_mm: float) -> FacingBones | None:
    """Surfaces of the sacrum and a hip bone within `reach_mm` of each other; None where they are nowhere that near."""
    both_near = _common_box(labels, hip, reach_mm)
    if both_near is None:
        return None
    part = labels.crop(both_near)
    both = [label_distance(part.values == bone, part.grid, reach_mm + DEEPEST_MM) for bone in (Label.SACRUM, hip)]
    box = _box_of(both[0] + both[1] < reach_mm, pad=3)
    if box is None:
        return None
    coarse = part.grid.crop(box)
    fine = coarse.resampled(spacing_mm)
    fields = [resample(_smooth(field[box]), coarse, fine) for field in both]
    near = fields[0] + fields[1] < reach_mm + 2 * spacing_mm
    faces = [_zero_level(field, near, fine) for field in fields]
    if not all(len(face.points_lps) for face in faces):
        return None
    return FacingBones(fine, fields[0], fields[1], faces[0], faces[1])


def _common_box(labels: LabelMap, hip: Label, reach_mm: float) -> Box | None:
    """Where the bounding boxes of the two bones, grown by `reach_mm`, overlap."""
    found = boxes_of(labels.values)
    sacrum, bone = found.get(Label.SACRUM), found.get(hip)
    if sacrum is None or bone is None:
        return None
    pad = np.ceil(reach_mm / labels.grid.spacing_zyx_mm).astype(int)
    spans = []
    for a, b, p, n in zip(sacrum, bone, pad, labels.values.shape, strict=True):
        low, high = max(a.start, b.start) - int(p), min(a.stop, b.stop) + int(p)
        spans.append(slice(max(low, 0), min(high, n)))
    if any(s.stop <= s.start for s in spans):
        return None
    return spans[0], spans[1], spans[2]


def _smooth(field: Field) -> Field:
    smooth: Field = ndi.gaussian_filter(field, SMOOTHING_VOXELS, mode="nearest", truncate=3.0)
    return smooth


def _zero_level(field: Field, near: NDArray[np.bool_], grid: Grid) -> Face:
    """Crossings of zero between neighbouring voxels of `near`, with the field's gradient as normal."""
    found = [_crossings(field, near, axis) for axis in range(3)]
    index = np.vstack(found)
    points = grid.to_lps(index)
    gradient = np.stack([sample_at(np.gradient(field, axis=a), grid, points) for a in range(3)], axis=1)
    normals = gradient @ grid.directions_lps
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    good = length[:, 0] > 1e-6
    return Face(points[good], normals[good] / length[good])


def _crossings(field: Field, near: NDArray[np.bool_], axis: int) -> Points:
    low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
    high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
    changes = ((field[low] > 0) != (field[high] > 0)) & (near[low] | near[high])
    index = np.argwhere(changes).astype(np.float64)
    before, after = field[low][changes].astype(np.float64), field[high][changes].astype(np.float64)
    index[:, axis] += before / (before - after)
    return index


def _box_of(mask: NDArray[np.bool_], pad: int) -> Box | None:
    ranges = [np.flatnonzero(mask.any(axis=tuple(b for b in range(3) if b != a))) for a in range(3)]
    if not len(ranges[0]):
        return None
    ends = zip(ranges, mask.shape, strict=True)
    spans = [slice(max(int(r[0]) - pad, 0), min(int(r[-1]) + pad + 1, n)) for r, n in ends]
    return spans[0], spans[1], spans[2]
