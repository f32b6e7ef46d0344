"""Label files as points in the patient, by SimpleITK and scipy alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from scipy import ndimage as ndi

__all__ = ["Image", "read_image", "surface_of_cylinder"]

SAMPLE_MM = 0.25
"""Spacing of the points on a cylinder: the distance between them is known to a hundredth of a millimetre."""

Points = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Image:
    """A label array ``(z, y, x)`` and the matrix from index ``(x, y, z)`` to LPS."""

    values: NDArray[np.uint8]
    lps_from_xyz: Points
    origin_lps: Points

    @property
    def spacing_xyz(self) -> Points:
        """Voxel size, mm."""
        return np.asarray(np.linalg.norm(self.lps_from_xyz, axis=0))

    @property
    def half_voxel_mm(self) -> float:
        """Half the mean spacing: where a label's face lies, on average."""
        return 0.5 * float(self.spacing_xyz.mean())

    @property
    def half_diagonal_mm(self) -> float:
        """Farthest that a voxel's points lie from its centre."""
        return 0.5 * float(np.linalg.norm(self.spacing_xyz))

    def points(self, mask: Mask) -> Points:
        """LPS centres of the voxels of a mask."""
        return np.argwhere(mask)[:, ::-1] @ self.lps_from_xyz.T + self.origin_lps

    def index_zyx(self, points_lps: Points) -> Points:
        """Fractional indices of LPS points, ``(n, 3)`` in order z, y, x."""
        return np.asarray(np.linalg.solve(self.lps_from_xyz, (points_lps - self.origin_lps).T).T[:, ::-1])

    def around(self, points_lps: Points, margin_mm: float) -> Image:
        """Cut out the box that holds some points with a margin."""
        index, pad = self.index_zyx(points_lps), margin_mm / self.spacing_xyz[::-1]
        low = np.clip(np.floor(index.min(axis=0) - pad), 0, np.array(self.values.shape) - 1).astype(int)
        high = np.maximum(np.ceil(index.max(axis=0) + pad).astype(int) + 1, low + 1)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        return Image(self.values[box], self.lps_from_xyz, self.origin_lps + self.lps_from_xyz @ low[::-1])

    def distance(self, mask: Mask) -> Points:
        """Signed distance of every voxel centre to the face of a mask, mm, negative inside."""
        spacing = self.spacing_xyz[::-1]
        if not mask.any() or mask.all():
            return np.full(mask.shape, -np.inf if mask.all() else np.inf)
        outside = ndi.distance_transform_edt(~mask, sampling=spacing)
        inside = ndi.distance_transform_edt(mask, sampling=spacing)
        return np.asarray(np.where(mask, self.half_voxel_mm - inside, outside - self.half_voxel_mm))

    def sample(self, field: Points, points_lps: Points) -> Points:
        """Interpolate a field at LPS points; outside the image, the nearest value."""
        return np.asarray(ndi.map_coordinates(field, self.index_zyx(points_lps).T, order=1, mode="nearest"))

    def same_grid(self, other: Image) -> bool:
        """Whether two images lie on one grid."""
        return (
            self.values.shape == other.values.shape
            and np.allclose(self.lps_from_xyz, other.lps_from_xyz, atol=1e-4)
            and np.allclose(self.origin_lps, other.origin_lps, atol=1e-3)
        )


def read_image(path: Path) -> Image:
    """Read a label file.

    Raises
    ------
    RuntimeError
        If SimpleITK cannot read it.
    """
    image: Any = SimpleITK.ReadImage(str(path))
    matrix = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    return Image(SimpleITK.GetArrayFromImage(image).astype(np.uint8), matrix, np.array(image.GetOrigin()))


def surface_of_cylinder(entry: Points, tip: Points, radius: float, step_mm: float = SAMPLE_MM) -> Points:
    """Points ``(n, 3)`` of a flat-ended cylinder's surface, `step_mm` apart or less."""
    axis = (tip - entry) / np.linalg.norm(tip - entry)
    u = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
    u /= np.linalg.norm(u)
    v = np.cross(axis, u)
    along = np.linspace(entry, tip, int(np.ceil(np.linalg.norm(tip - entry) / step_mm)) + 1)
    side = along[:, None, :] + _circle(u, v, radius, step_mm)
    radii = np.linspace(0, radius, int(np.ceil(radius / step_mm)) + 1)
    disc = np.vstack([_circle(u, v, r, step_mm) for r in radii])
    return np.vstack([side.reshape(-1, 3), entry + disc, tip + disc])


def _circle(u: Points, v: Points, radius: float, step_mm: float) -> Points:
    count = max(1, int(np.ceil(2 * np.pi * radius / step_mm)))
    angle = 2 * np.pi * np.arange(count)[:, None] / count
    return np.asarray(radius * (np.cos(angle) * u + np.sin(angle) * v))
