"""Label files as points in the patient, by SimpleITK, gzip and scipy alone; of a large grid, only what is labelled."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from scipy import ndimage as ndi

__all__ = ["Image", "read_image", "surface_of_cylinder", "surface_of_prism"]

SAMPLE_MM = 0.25
"""Spacing of the points on a cylinder: the distance between them is known to a hundredth of a millimetre."""

HEADER_BYTES, UINT8 = 348, 2
"""Length of a NIfTI-1 header, and its code for uint8."""

Points = NDArray[np.float64]
Mask = NDArray[np.bool_]
Counts = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Image:
    """A label array ``(z, y, x)`` and the matrix from index ``(x, y, z)`` to LPS.

    `before` and `after` count the file's empty voxels before and after the array, along each axis; `blocks` the file's
    voxels to one of the array.
    """

    values: NDArray[np.uint8]
    lps_from_xyz: Points
    origin_lps: Points
    before: Counts = (0, 0, 0)
    after: Counts = (0, 0, 0)
    blocks: Counts = (1, 1, 1)

    @property
    def shape_zyx(self) -> Counts:
        """Size of the file's grid."""
        inside = np.array(self.values.shape) * np.array(self.blocks)
        return _counts(np.array(self.before) + inside + np.array(self.after))

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
        return np.asarray((points_lps - self.origin_lps) @ np.linalg.inv(self.lps_from_xyz)[::-1].T)

    def around(self, points_lps: Points, margin_mm: float) -> Image:
        """Cut out the box that holds some points with a margin."""
        index, pad = self.index_zyx(points_lps), margin_mm / self.spacing_xyz[::-1]
        first = -(np.array(self.before) // self.blocks)
        last = np.array(self.values.shape) + np.array(self.after) // self.blocks - 1
        low = np.clip(np.floor(index.min(axis=0) - pad), first, last).astype(int)
        high = np.clip(np.ceil(index.max(axis=0) + pad).astype(int) + 1, low + 1, last + 1)
        return Image(self._cut(low, high), self.lps_from_xyz, self.origin_lps + self.lps_from_xyz @ low[::-1])

    def _cut(self, low: NDArray[np.int_], high: NDArray[np.int_]) -> NDArray[np.uint8]:
        """Box from `low` to `high`; what lies outside the array is empty."""
        cut = np.zeros(high - low, np.uint8)
        inner, outer = np.maximum(low, 0), np.minimum(high, self.values.shape)
        if (inner < outer).all():
            here = tuple(slice(a, b) for a, b in zip(inner - low, outer - low, strict=True))
            cut[here] = self.values[tuple(slice(a, b) for a, b in zip(inner, outer, strict=True))]
        return cut

    def distance(self, mask: Mask) -> Points:
        """Signed distance of every voxel centre to the face of a mask, mm, negative inside."""
        if not mask.any() or mask.all():
            return np.full(mask.shape, -np.inf if mask.all() else np.inf)
        outside, inside = self._to_centres(mask), self._to_centres(~mask)
        return np.asarray(np.where(mask, self.half_voxel_mm - inside, outside - self.half_voxel_mm))

    def distance_outside(self, mask: Mask) -> Points:
        """Give the same where it is positive; within the mask, minus half a voxel."""
        if not mask.any():
            return np.full(mask.shape, np.inf)
        return np.asarray(np.maximum(self._to_centres(mask), 0) - self.half_voxel_mm)

    def _to_centres(self, mask: Mask) -> Points:
        """Distance of voxels outside a mask to its nearest voxel's centre, mm (Maurer, 10.1109/TPAMI.2003.1177156)."""
        binary: Any = SimpleITK.GetImageFromArray(mask.view(np.uint8))
        binary.SetSpacing(self.spacing_xyz.tolist())
        maurer: Any = SimpleITK.SignedMaurerDistanceMap
        field = maurer(binary, squaredDistance=False, useImageSpacing=True)
        return np.asarray(SimpleITK.GetArrayFromImage(field), np.float64)

    def sample(self, field: Points, points_lps: Points) -> Points:
        """Interpolate a field at LPS points; outside the image, the nearest value."""
        return np.asarray(ndi.map_coordinates(field, self.index_zyx(points_lps).T, order=1, mode="nearest"))

    def same_grid(self, other: Image) -> bool:
        """Whether two images lie on one grid."""
        return (
            self.shape_zyx == other.shape_zyx
            and np.allclose(self.lps_from_xyz, other.lps_from_xyz, atol=1e-4)
            and np.allclose(self.corner_lps, other.corner_lps, atol=1e-3)
        )

    @property
    def corner_lps(self) -> Points:
        """LPS of the file's first voxel."""
        back = (np.array(self.before) + (np.array(self.blocks) - 1) / 2) / self.blocks
        return np.asarray(self.origin_lps - self.lps_from_xyz @ back[::-1])


def read_image(path: Path, blocks: Counts = (1, 1, 1)) -> Image:
    """Read the labelled box of a label file; the whole grid is never in memory.

    Parameters
    ----------
    path : Path
        A uint8 NIfTI-1.
    blocks : (z, y, x) int
        Voxels of the file that were one to the planner; the array then has one for each block.

    Raises
    ------
    RuntimeError
        If SimpleITK cannot read the header.
    OSError, EOFError, ValueError
        If the voxels are not whole, or no uint8, or not alike within a block.
    """
    reader: Any = SimpleITK.ImageFileReader()  # type: ignore[no-untyped-call]  # generated code
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    matrix = np.array(reader.GetDirection()).reshape(3, 3) * np.array(reader.GetSpacing())
    shape = np.array(reader.GetSize()[::-1])
    values, low = _labelled_box(_planes(path, (int(shape[1]), int(shape[2])), int(shape[0])))
    values = _joined(values, blocks)
    after = shape - low - np.multiply(values.shape, blocks)
    origin = np.array(reader.GetOrigin()) + matrix @ (low + (np.array(blocks) - 1) / 2)[::-1]
    return Image(values, matrix * blocks[::-1], origin, _counts(low), _counts(after), blocks)


def _joined(values: NDArray[np.uint8], blocks: Counts) -> NDArray[np.uint8]:
    """One value a block; where none is labelled, one empty block."""
    if not values.any():
        return np.zeros((1, 1, 1), np.uint8)
    if np.any(np.mod(values.shape, blocks)):
        raise ValueError(f"found labels of {values.shape} voxels, expected whole blocks of {blocks}")
    joined = np.ascontiguousarray(values[:: blocks[0], :: blocks[1], :: blocks[2]])
    for k, j, i in np.ndindex(*blocks):
        if not np.array_equal(values[k :: blocks[0], j :: blocks[1], i :: blocks[2]], joined):
            raise ValueError(f"found labels that differ within a block of {blocks} voxels")
    return joined


def _counts(numbers: NDArray[np.int_]) -> Counts:
    return int(numbers[0]), int(numbers[1]), int(numbers[2])


def _planes(path: Path, shape_yx: tuple[int, int], count: int) -> Iterator[NDArray[np.uint8]]:
    """Planes of a uint8 NIfTI-1, one at a time (nifti1.h: datatype at byte 70, vox_offset at 108)."""
    with gzip.open(path) as stream:
        header = stream.read(HEADER_BYTES)
        datatype = int(np.frombuffer(header, "<i2", 1, 70)[0])
        if datatype != UINT8:
            raise ValueError(f"found data type {datatype}, expected {UINT8} (uint8)")
        stream.seek(int(np.frombuffer(header, "<f4", 1, 108)[0]))
        for _ in range(count):
            data = stream.read(shape_yx[0] * shape_yx[1])
            yield np.frombuffer(data, np.uint8).reshape(shape_yx)


def _labelled_box(planes: Iterable[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], NDArray[np.int_]]:
    """Smallest box that holds every label, and its first voxel; one empty voxel where there is none."""
    cuts, lows = [], []
    for k, plane in enumerate(planes):
        rows, columns = (np.flatnonzero(plane.any(axis=axis)) for axis in (1, 0))
        if rows.size:
            cuts.append(plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy())
            lows.append((k, rows[0], columns[0]))
    if not cuts:
        return np.zeros((1, 1, 1), np.uint8), np.zeros(3, int)
    first = np.min(lows, axis=0)
    last = np.max([np.add(low, (1, *cut.shape)) for low, cut in zip(lows, cuts, strict=True)], axis=0)
    values = np.zeros(last - first, np.uint8)
    for low, cut in zip(lows, cuts, strict=True):
        k, j, i = np.subtract(low, first)
        values[k, j : j + cut.shape[0], i : i + cut.shape[1]] = cut
    return values, first


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


def surface_of_prism(entry: Points, tip: Points, corners: Points, step_mm: float = SAMPLE_MM) -> Points:
    """Points of a prism's surface, `step_mm` apart or less; ``(k, 3)`` corners of its convex section from the axis."""
    edges = [
        np.linspace(a, b, int(np.ceil(np.linalg.norm(b - a) / step_mm)) + 1)
        for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)
    ]
    outline = np.vstack(edges)
    along = np.linspace(entry, tip, int(np.ceil(np.linalg.norm(tip - entry) / step_mm)) + 1)
    shares = np.linspace(0, 1, int(np.ceil(np.linalg.norm(corners, axis=1).max() / step_mm)) + 1)
    face = (shares[:, None, None] * outline).reshape(-1, 3)
    return np.vstack([(along[:, None] + outline).reshape(-1, 3), entry + face, tip + face])


def _circle(u: Points, v: Points, radius: float, step_mm: float) -> Points:
    count = max(1, int(np.ceil(2 * np.pi * radius / step_mm)))
    angle = 2 * np.pi * np.arange(count)[:, None] / count
    return np.asarray(radius * (np.cos(angle) * u + np.sin(angle) * v))
