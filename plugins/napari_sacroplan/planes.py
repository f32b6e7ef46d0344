"""Planes through the patient: where their pixels lie, which letters stand at their edges, what is cut by them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import ConvexHull

from napari_sacroplan.placement import Placement
from planner.labels import Keepout
from planner.outline import implant_rim
from planner.volume import LabelMap, Volume

__all__ = [
    "STANDARD",
    "Plane",
    "along_joint_plane",
    "cut_mesh",
    "down_plane",
    "out_of_joint_plane",
    "paint",
    "ring_mm",
    "sample_plane",
]

OBLIQUE_COSINE = 0.4
"""A direction also takes the letter of a second axis from here on: 24 degrees off the first [P]."""

LETTERS = ("LR", "PA", "SI")
"""Of x, y and z: positive, negative."""

OUTSIDE_HU = -1024
"""What is drawn beyond the scan."""

KEEPOUT_SHARE = 0.45
"""How much of a keep-out's colour covers the tissue."""

RING_POINTS = 48
"""Of a round corner of the ring."""

SOFT = int(Keepout.SOFT)
"""Reported and not kept out of, so not tinted."""

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Plane:
    """A picture's plane.

    Attributes
    ----------
    name : str
        What the picture is called.
    centre_lps : (3,) float64 array
        Its middle.
    right_lps, down_lps : (3,) float64 arrays
        Unit vectors of a row and of a column.
    """

    name: str
    centre_lps: Points
    right_lps: Points
    down_lps: Points

    @property
    def normal_lps(self) -> Points:
        """Unit vector away from the viewer."""
        normal: Points = np.cross(self.right_lps, self.down_lps)
        return normal

    def at(self, centre_lps: ArrayLike) -> Plane:
        """Move its middle."""
        return replace(self, centre_lps=np.asarray(centre_lps, np.float64))

    def to_mm(self, points_lps: ArrayLike) -> Points:
        """Map ``(..., 3)`` points to mm right of and below the middle ``(..., 2)``."""
        away = np.asarray(points_lps, np.float64) - self.centre_lps
        return np.stack([away @ self.right_lps, away @ self.down_lps], axis=-1)

    def to_lps(self, mm: ArrayLike) -> Points:
        """Map mm right of and below the middle ``(..., 2)`` to points."""
        right, down = np.moveaxis(np.asarray(mm, np.float64), -1, 0)
        points: Points = self.centre_lps + right[..., None] * self.right_lps + down[..., None] * self.down_lps
        return points

    def off_mm(self, point_lps: ArrayLike) -> float:
        """How far a point lies behind the plane."""
        return float((np.asarray(point_lps, np.float64) - self.centre_lps) @ self.normal_lps)

    @property
    def letters(self) -> dict[str, str]:
        """Patient letters at the left, right, top and bottom edge."""
        edges = {"left": -self.right_lps, "right": self.right_lps, "top": -self.down_lps, "bottom": self.down_lps}
        return {edge: _letters(direction) for edge, direction in edges.items()}


def _letters(direction_lps: Points) -> str:
    order = np.argsort(-np.abs(direction_lps), kind="stable")[:2]
    letters = [LETTERS[axis][int(direction_lps[axis] < 0)] for axis in order]
    return letters[0] if abs(direction_lps[order[1]]) < OBLIQUE_COSINE else "".join(letters)


_NOWHERE = np.zeros(3)

STANDARD = {
    "axial": Plane("axial", _NOWHERE, np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])),
    "coronal": Plane("coronal", _NOWHERE, np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, -1.0])),
    "sagittal": Plane("sagittal", _NOWHERE, np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, -1.0])),
}
"""The radiologist's views: the patient's left is at the right of axial and coronal pictures."""


def down_plane(placement: Placement) -> Plane:
    """Look down the implant from behind, through its middle: cranial is up."""
    axis = placement.direction_lps
    up = _across(axis, np.array([0.0, 0.0, 1.0]))
    return Plane("down the implant", placement.centre_lps, np.cross(axis, up), -up)


def along_joint_plane(placement: Placement, out_lps: Points) -> Plane:
    """Lay the plane that holds the axis and runs along the joint: posterior is at the right, as in a sagittal view."""
    axis = placement.direction_lps
    along = np.cross(axis, out_lps)
    down = along if along[2] < 0 else -along
    return Plane("along the joint", placement.centre_lps, -axis, down)


def out_of_joint_plane(placement: Placement, out_lps: Points) -> Plane:
    """Lay the plane that holds the axis and crosses the joint: like an axial view, posterior is down."""
    right = out_lps if out_lps[0] > 0 else -out_lps
    return Plane("across the joint", placement.centre_lps, right, -placement.direction_lps)


def _across(axis: Points, wanted: Points) -> Points:
    across = wanted - (wanted @ axis) * axis
    unit: Points = across / np.linalg.norm(across)
    return unit


def ring_mm(placement: Placement, plane: Plane, beyond_mm: float) -> Points:
    """Points of the outline that lies this far outside the implant's own, across its axis, in a plane's mm."""
    rim = implant_rim(placement.direction_lps, placement.diameter_mm, placement.corners_lps)
    turn = np.linspace(0, 2 * np.pi, RING_POINTS, endpoint=False)
    around = plane.to_mm(placement.centre_lps + rim)[:, None] + beyond_mm * np.stack([np.cos(turn), np.sin(turn)], -1)
    flat = around.reshape(-1, 2)
    return np.asarray(flat[ConvexHull(flat).vertices])


def sample_plane(
    volume: Volume, labels: tuple[LabelMap, LabelMap], plane: Plane, shape: tuple[int, int], mm: float
) -> tuple[NDArray[np.int16], NDArray[np.uint8], NDArray[np.uint8]]:
    """HU by trilinear interpolation, and two label maps by nearest voxel, at the pixels of a plane.

    Parameters
    ----------
    volume, labels
        On one grid.
    plane : Plane
        Where to look.
    shape : (rows, columns)
        Of the picture.
    mm : float
        Width of a pixel.
    """
    index_from_lps = np.linalg.inv(volume.grid.lps_from_zyx)[:3]
    row, column = index_from_lps[:, :3] @ (mm * plane.down_lps), index_from_lps[:, :3] @ (mm * plane.right_lps)
    middle = index_from_lps[:, :3] @ plane.centre_lps + index_from_lps[:, 3]
    first = middle - row * (shape[0] - 1) / 2 - column * (shape[1] - 1) / 2
    out = np.empty(shape, np.int16), np.empty(shape, np.uint8), np.empty(shape, np.uint8)
    _sample(volume.hu, labels[0].values, labels[1].values, (first, row, column), out)
    return out


@njit(cache=True, nogil=True)
def _sample(hu, one, other, place, out):  # type: ignore[no-untyped-def]
    first, down, right = place
    depth, height, width = hu.shape
    for i in range(out[0].shape[0]):
        for j in range(out[0].shape[1]):
            z = first[0] + i * down[0] + j * right[0]
            y = first[1] + i * down[1] + j * right[1]
            x = first[2] + i * down[2] + j * right[2]
            if min(z, y, x) < -0.5 or z >= depth - 0.5 or y >= height - 0.5 or x >= width - 0.5:
                out[0][i, j], out[1][i, j], out[2][i, j] = OUTSIDE_HU, 0, 0
                continue
            a, b, c = int(z + 0.5), int(y + 0.5), int(x + 0.5)
            out[1][i, j], out[2][i, j] = one[a, b, c], other[a, b, c]
            z, y, x = max(z, 0.0), max(y, 0.0), max(x, 0.0)
            p, q, r = int(z), int(y), int(x)
            u, v, w = z - p, y - q, x - r
            p1, q1, r1 = min(p + 1, depth - 1), min(q + 1, height - 1), min(r + 1, width - 1)
            near = (hu[p, q, r] * (1 - w) + hu[p, q, r1] * w) * (1 - v) + (
                hu[p, q1, r] * (1 - w) + hu[p, q1, r1] * w
            ) * v
            far = (hu[p1, q, r] * (1 - w) + hu[p1, q, r1] * w) * (1 - v) + (
                hu[p1, q1, r] * (1 - w) + hu[p1, q1, r1] * w
            ) * v
            out[0][i, j] = int(np.floor(near * (1 - u) + far * u + 0.5))


def cut_mesh(
    vertices_lps: NDArray[np.floating[Any]], faces: NDArray[np.int32], plane: Plane
) -> tuple[Points, NDArray[np.intp]]:
    """Segments in which triangles meet a plane, ``(k, 2, 2)`` in its mm, and the triangle of each."""
    away = vertices_lps.astype(np.float64) - plane.centre_lps
    in_plane = np.stack([away @ plane.right_lps, away @ plane.down_lps], axis=1)
    return _cut(in_plane, away @ plane.normal_lps, np.ascontiguousarray(faces))  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)
def _cut(in_plane, side, faces):  # type: ignore[no-untyped-def]
    """Cut triangles where the sign of `side` changes: the corner that is alone on its side is on both edges cut."""
    count = 0
    for face in range(len(faces)):
        above = int(side[faces[face, 0]] >= 0) + int(side[faces[face, 1]] >= 0) + int(side[faces[face, 2]] >= 0)
        count += 0 < above < 3
    segments, triangles = np.empty((count, 2, 2)), np.empty(count, np.intp)
    at = 0
    for face in range(len(faces)):
        above = int(side[faces[face, 0]] >= 0) + int(side[faces[face, 1]] >= 0) + int(side[faces[face, 2]] >= 0)
        if above == 0 or above == 3:
            continue
        odd = 0
        while (side[faces[face, odd]] >= 0) != (above == 1):
            odd += 1
        alone = faces[face, odd]
        for end in range(2):
            other = faces[face, (odd + 1 + end) % 3]
            share = side[alone] / (side[alone] - side[other])
            for axis in range(2):
                segments[at, end, axis] = in_plane[alone, axis] * (1 - share) + in_plane[other, axis] * share
        triangles[at] = face
        at += 1
    return segments, triangles


@njit(cache=True, nogil=True)
def paint(hu, bones, keepouts, limits, colours, pixels):  # type: ignore[no-untyped-def]
    """Colour a sampled plane: grey tissue, neural keep-outs tinted, bones outlined.

    Parameters
    ----------
    hu, bones, keepouts : (rows, columns) arrays
        As `sample_plane` gives them.
    limits : (black, white)
        HU.
    colours : (257, 3) float array
        Of each label of bone, and last the one of the keep-outs.
    pixels : (rows, columns) uint32 array
        ``0xFFRRGGBB``, written to.
    """
    rows, columns = hu.shape
    scale = 255.0 / (limits[1] - limits[0])
    for i in range(rows):
        for j in range(columns):
            grey = min(max((hu[i, j] - limits[0]) * scale, 0.0), 255.0)
            red, green, blue = grey, grey, grey
            here, kept = bones[i, j], keepouts[i, j]
            below, beside = bones[min(i + 1, rows - 1), j], bones[i, min(j + 1, columns - 1)]
            if here != below or here != beside:
                red, green, blue = colours[here if here > 0 else max(below, beside)]
            elif kept > 0 and kept != SOFT:
                red = grey * (1 - KEEPOUT_SHARE) + KEEPOUT_SHARE * colours[256, 0]
                green = grey * (1 - KEEPOUT_SHARE) + KEEPOUT_SHARE * colours[256, 1]
                blue = grey * (1 - KEEPOUT_SHARE) + KEEPOUT_SHARE * colours[256, 2]
            pixels[i, j] = 0xFF000000 | int(red) << 16 | int(green) << 8 | int(blue)
