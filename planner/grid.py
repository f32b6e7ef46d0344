"""Grids: where the voxels of a ``(z, y, x)`` array lie in the patient.

The world is DICOM patient coordinates, LPS+ in millimetres: x to the patient's left, y to posterior, z to cranial.
A matrix is named for both spaces: ``lps_from_zyx`` maps an array index ``(z, y, x)`` to a point ``(x, y, z)``.
An integer index is a voxel's centre.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Grid", "Orientation"]

ORTHOGONAL_TOLERANCE = 1e-4
"""Largest cosine between two axes of a grid that is called orthogonal."""

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular voxel grid in LPS millimetres.

    Attributes
    ----------
    shape_zyx : tuple of int
        Number of voxels along the array's three axes.
    lps_from_zyx : (4, 4) float64 array
        Homogeneous matrix from an array index ``(z, y, x, 1)`` to an LPS point ``(x, y, z, 1)``; read-only.
    """

    shape_zyx: tuple[int, int, int]
    lps_from_zyx: NDArray[np.float64]

    def __post_init__(self) -> None:
        matrix = np.array(self.lps_from_zyx, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise ValueError(f"lps_from_zyx must be a finite 4 x 4 matrix, found {matrix.tolist()}")
        if abs(np.linalg.det(matrix[:3, :3])) < 1e-12:
            raise ValueError("lps_from_zyx is singular")
        if len(self.shape_zyx) != 3 or min(self.shape_zyx) < 1:
            raise ValueError(f"shape_zyx must be three positive numbers, found {self.shape_zyx}")
        matrix.setflags(write=False)
        object.__setattr__(self, "lps_from_zyx", matrix)
        object.__setattr__(self, "shape_zyx", tuple(int(n) for n in self.shape_zyx))

    @classmethod
    def from_spacing(
        cls,
        shape_zyx: tuple[int, int, int],
        spacing_zyx_mm: ArrayLike,
        origin_lps_mm: ArrayLike = (0.0, 0.0, 0.0),
    ) -> Grid:
        """Build an upright grid: array axes run cranial, posterior and left."""
        matrix = np.zeros((4, 4))
        matrix[[2, 1, 0], [0, 1, 2]] = np.broadcast_to(np.asarray(spacing_zyx_mm, float), 3)
        matrix[:3, 3] = origin_lps_mm
        matrix[3, 3] = 1.0
        return cls(shape_zyx, matrix)

    @property
    def spacing_zyx_mm(self) -> NDArray[np.float64]:
        """Distance between neighbouring voxel centres along each array axis, mm."""
        spacing: NDArray[np.float64] = np.linalg.norm(self.lps_from_zyx[:3, :3], axis=0)
        return spacing

    @property
    def directions_lps(self) -> NDArray[np.float64]:
        """(3, 3) unit vectors; row ``i`` is the LPS direction of array axis ``i``."""
        directions: NDArray[np.float64] = (self.lps_from_zyx[:3, :3] / self.spacing_zyx_mm).T
        return directions

    @property
    def origin_lps_mm(self) -> NDArray[np.float64]:
        """LPS point of voxel ``(0, 0, 0)``'s centre."""
        return self.lps_from_zyx[:3, 3]

    @property
    def is_orthogonal(self) -> bool:
        """Whether the axes are at right angles (no gantry tilt)."""
        gram = self.directions_lps @ self.directions_lps.T
        return bool(np.abs(gram - np.eye(3)).max() < ORTHOGONAL_TOLERANCE)

    def to_lps(self, index_zyx: ArrayLike) -> NDArray[np.float64]:
        """Map array indices ``(..., 3)`` in order z, y, x (fractions allowed) to LPS mm."""
        index = np.asarray(index_zyx, dtype=np.float64)
        points: NDArray[np.float64] = index @ self.lps_from_zyx[:3, :3].T + self.lps_from_zyx[:3, 3]
        return points

    def to_index(self, points_lps: ArrayLike) -> NDArray[np.float64]:
        """Map LPS points ``(..., 3)`` to fractional array indices in order z, y, x."""
        points = np.asarray(points_lps, dtype=np.float64)
        inverse = np.linalg.inv(self.lps_from_zyx[:3, :3])
        index: NDArray[np.float64] = (points - self.lps_from_zyx[:3, 3]) @ inverse.T
        return index

    def contains(self, points_lps: ArrayLike, margin_mm: float = 0.0) -> NDArray[np.bool_]:
        """Whether LPS points ``(..., 3)`` lie between the outermost voxel centres, `margin_mm` inside them."""
        index = self.to_index(points_lps)
        margin = margin_mm / self.spacing_zyx_mm
        inside = (index >= margin) & (index <= np.array(self.shape_zyx) - 1 - margin)
        return np.asarray(inside.all(axis=-1))

    def corners_lps(self) -> NDArray[np.float64]:
        """(8, 3) LPS points of the corner voxels' centres."""
        return self.to_lps(
            [[k * (n - 1) for k, n in zip(c, self.shape_zyx, strict=True)] for c in product((0, 1), repeat=3)]
        )

    def crop(self, box: tuple[slice, slice, slice]) -> Grid:
        """Grid of ``array[box]``; `box` holds plain slices with explicit start and stop, step 1."""
        start = [s.start for s in box]
        matrix = self.lps_from_zyx.copy()
        matrix[:3, 3] = self.to_lps(start)
        return Grid((box[0].stop - start[0], box[1].stop - start[1], box[2].stop - start[2]), matrix)

    def box_around(self, points_lps: ArrayLike, margin_mm: float) -> tuple[slice, slice, slice]:
        """Slices of the smallest box that holds the LPS points with a margin, clipped to the grid.

        Raises
        ------
        ValueError
            If the box does not meet the grid.
        """
        index = self.to_index(points_lps).reshape(-1, 3)
        pad = margin_mm / self.spacing_zyx_mm
        low = np.maximum(np.floor(index.min(axis=0) - pad), 0).astype(int)
        high = np.minimum(np.ceil(index.max(axis=0) + pad) + 1, self.shape_zyx).astype(int)
        if (high <= low).any():
            raise ValueError("the points lie outside the grid")
        return (
            slice(int(low[0]), int(high[0])),
            slice(int(low[1]), int(high[1])),
            slice(int(low[2]), int(high[2])),
        )

    def resampled(self, spacing_zyx_mm: ArrayLike) -> Grid:
        """Grid with the same first voxel centre and axes, the given spacing, covering the same centres."""
        new = np.broadcast_to(np.asarray(spacing_zyx_mm, float), 3)
        old = self.spacing_zyx_mm
        extent = (np.array(self.shape_zyx) - 1) * old
        shape = np.floor(extent / new + 1e-6).astype(int) + 1
        matrix = self.lps_from_zyx.copy()
        matrix[:3, :3] = matrix[:3, :3] / old * new
        return Grid((int(shape[0]), int(shape[1]), int(shape[2])), matrix)

    def same_as(self, other: Grid, tolerance_mm: float = 1e-3) -> bool:
        """Whether both grids have one shape and corners within `tolerance_mm`."""
        if self.shape_zyx != other.shape_zyx:
            return False
        return bool(np.abs(self.corners_lps() - other.corners_lps()).max() <= tolerance_mm)


@dataclass(frozen=True)
class Orientation:
    """One of the 48 ways to permute and flip a grid's axes.

    Canonical axis ``i`` is source axis ``order[i]``, reversed where ``flipped[i]``.
    """

    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    @classmethod
    def to_canonical(cls, grid: Grid) -> Orientation:
        """Find the orientation that brings a grid's axes closest to cranial, posterior, left."""
        directions = grid.directions_lps  # rows: source axes, columns: x, y, z
        wanted = (2, 1, 0)  # canonical axes z, y, x as LPS components
        order = max(
            permutations(range(3)),
            key=lambda p: sum(abs(directions[a, w]) for a, w in zip(p, wanted, strict=True)),
        )
        flipped = tuple(bool(directions[a, w] < 0) for a, w in zip(order, wanted, strict=True))
        return cls(order, flipped)  # type: ignore[arg-type]

    def apply(self, array: Array) -> Array:
        """View of `array` in the canonical orientation."""
        flips = tuple(slice(None, None, -1) if f else slice(None) for f in self.flipped)
        return array.transpose(self.order)[flips]

    def undo(self, array: Array) -> Array:
        """View of a canonical `array` in the source orientation: the inverse of `apply`."""
        flips = tuple(slice(None, None, -1) if f else slice(None) for f in self.flipped)
        return array[flips].transpose(np.argsort(self.order))

    def apply_grid(self, grid: Grid) -> Grid:
        """Grid of ``apply(array)``; rounded so that equal grids from different orientations are equal to the bit."""
        matrix = grid.lps_from_zyx.copy()
        shape = (grid.shape_zyx[self.order[0]], grid.shape_zyx[self.order[1]], grid.shape_zyx[self.order[2]])
        columns = grid.lps_from_zyx[:3, list(self.order)]
        signs = np.where(self.flipped, -1.0, 1.0)
        last = np.where(self.flipped, np.array(shape) - 1, 0)
        matrix[:3, 3] = np.round(grid.lps_from_zyx[:3, 3] + columns @ last, 6)
        matrix[:3, :3] = np.round(columns * signs, 9)
        return Grid(shape, matrix + 0.0)
