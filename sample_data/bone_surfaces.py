"""The shape model's bones as distance fields, and what is fitted to them: joints, femoral heads, landmarks.

The *drawing frame* is the pelvic frame of the shape model, moved so that the mean sacrum has its vertices' centroid at
`SACRUM_CENTROID_MM`; +x left, +y posterior, +z cranial, mm. Closed forms are drawn on the mean shape; for other
shapes the sacrum is laid on the mean one, the joints are fitted anew and the femora ride on the acetabula.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.labels import Side
from planner.segmentation.landmarks import fit_sphere
from planner.segmentation.shape_model import ShapeModel, load_shape_model, similarity
from sample_data.closed_forms import Points
from sample_data.joint_surface import FIT_BOX_YZ_MM, fit_height
from sample_data.signed_distance import DistanceField, surface_distance

__all__ = ["BoneSurfaces", "bone_surfaces", "drawing_shift", "warp"]

F64 = NDArray[np.float64]

SACRUM_CENTROID_MM = (0.0, 27.2, 27.8)
"""Centroid of the mean sacrum's vertices in the drawing frame."""

FIELD_SPACING_MM = 1.5
"""Lattice of the bones' distance fields; the interpolated field is the definition of the surface."""

FIELD_MARGIN_MM = 18.0
"""The fields reach this far beyond the bones."""

SURFACE_BLUR_MM = 0.9
"""Smoothing of the fields: takes the atlas's facets and notches off."""

WARP_LENGTH_MM = 55.0
"""Wave length / 2 pi of the warp that leaves the shape model's span. [P]"""

HEAD_GAP_MM = 1.5
"""The femoral head is this much smaller than the sphere fitted to the socket. [P]"""


@dataclass(frozen=True, eq=False)
class BoneSurfaces:
    """What does not depend on the joints' gap. All in the drawing frame.

    Attributes
    ----------
    sacrum : DistanceField
        Sacrum of the atlas, which ends at S3.
    hips : mapping of Side to DistanceField
        Hip bones.
    heights : mapping of Side to (15,) float64 array
        Coefficients of each joint's height function.
    heads : mapping of Side to (centre, radius)
        Femoral heads.
    landmarks : mapping of str to (3,) float64 array
        Bony landmarks.
    """

    sacrum: DistanceField
    hips: Mapping[Side, DistanceField]
    heights: Mapping[Side, F64]
    heads: Mapping[Side, tuple[F64, float]]
    landmarks: Mapping[str, F64]


@lru_cache(maxsize=2)
def bone_surfaces(coefficients: tuple[float, ...], warp_mm: float, symmetric: bool) -> BoneSurfaces:
    """Sample the shape with these coefficients, warped; `symmetric` averages both sides."""
    model = load_shape_model()
    vertices = _drawn(model, np.asarray(coefficients, float))
    vertices = vertices + warp(vertices, warp_mm)
    fields = {
        name: _smoothed(surface_distance(part, model.faces_of(name), FIELD_SPACING_MM, FIELD_MARGIN_MM))
        for name, part in model.split(vertices).items()
    }
    sacrum, hips = fields["sacrum"], {side: fields[f"{side}_hip"] for side in Side}
    heads = {side: _head(vertices[model.regions[f"{side}_acetabulum"]]) for side in Side}
    landmarks = {n: v for n, v in model.landmarks_on(vertices).items() if not n.endswith(("ventral", "dorsal"))}
    if not symmetric:
        heights = {side: _fit_joint(sacrum, hips[side], side) for side in Side}
        return BoneSurfaces(sacrum, hips, heights, heads, landmarks)
    sacrum = _own_mean(sacrum)
    left = _mean_field(hips[Side.LEFT], hips[Side.RIGHT])
    height = _fit_joint(sacrum, left, Side.LEFT)
    return BoneSurfaces(
        sacrum,
        {Side.LEFT: left, Side.RIGHT: _mirror_field(left)},
        dict.fromkeys(Side, height),
        _symmetric_heads(heads),
        _symmetric_landmarks(landmarks),
    )


def drawing_shift(model: ShapeModel) -> F64:
    """Move from the model frame to the drawing frame."""
    shift: F64 = np.asarray(SACRUM_CENTROID_MM) - model.mean[model.span("sacrum")].mean(axis=0)
    shift[0] = 0.0
    return shift


def _drawn(model: ShapeModel, coefficients: F64) -> F64:
    """Vertices in the drawing frame, laid so that the sacrum sits on the mean sacrum."""
    mean = model.mean + drawing_shift(model)
    if not len(coefficients):
        return mean
    shape = model.reconstruct(coefficients)
    span = model.span("sacrum")
    _, rotation, _ = similarity(shape[span], mean[span])
    turned: F64 = shape @ rotation.T
    turned += mean[span].mean(axis=0) - turned[span].mean(axis=0)
    return turned


def warp(p: F64, amplitude_mm: float) -> F64:
    """Left-right symmetric displacement that is no combination of the model's modes."""
    y, z = p[:, 1] / WARP_LENGTH_MM, p[:, 2] / WARP_LENGTH_MM
    side = np.tanh(p[:, 0] / WARP_LENGTH_MM)
    along_x = side * np.sin(1.3 * y + 0.4) * np.cos(z)
    along_y = np.cos(1.1 * z + 0.7) * np.cos(2 * side)
    along_z = np.sin(y - 0.9) * np.cos(side)
    result: F64 = amplitude_mm * np.stack([along_x, along_y, along_z], axis=1)
    return result


def _smoothed(field: DistanceField) -> DistanceField:
    blurred = ndi.gaussian_filter(field.values_mm, SURFACE_BLUR_MM / field.spacing_mm, truncate=3)
    return DistanceField(blurred, field.origin_mm, field.spacing_mm)


def _mirror_field(field: DistanceField) -> DistanceField:
    origin = field.origin_mm.copy()
    origin[0] = -(field.origin_mm[0] + (field.values_mm.shape[2] - 1) * field.spacing_mm)
    return DistanceField(np.ascontiguousarray(field.values_mm[:, :, ::-1]), origin, field.spacing_mm)


def _nodes(origin_mm: F64, spacing_mm: float, shape_zyx: tuple[int, int, int]) -> Points:
    lattice = np.diag([spacing_mm] * 3 + [1.0])[[2, 1, 0, 3]]
    lattice[:3, 3] = origin_mm
    return Points.of_grid(lattice, shape_zyx)


def _mean_field(field: DistanceField, other: DistanceField) -> DistanceField:
    """Mean of a field and another's mirror image, on the first one's lattice."""
    nz, ny, nx = field.values_mm.shape
    p = _nodes(field.origin_mm, field.spacing_mm, (nz, ny, nx))
    mean = (field.values_mm + other.at_points(Points(-p.x, p.y, p.z))) / np.float32(2)
    return DistanceField(mean, field.origin_mm, field.spacing_mm)


def _own_mean(field: DistanceField) -> DistanceField:
    """Mean of a field and its own mirror image, on a lattice that mirrors onto itself."""
    nz, ny, nx = field.values_mm.shape
    reach = max(-field.origin_mm[0], field.origin_mm[0] + (nx - 1) * field.spacing_mm)
    half = int(np.ceil(reach / field.spacing_mm))
    origin = np.array([-half * field.spacing_mm, *field.origin_mm[1:]])
    p = _nodes(origin, field.spacing_mm, (nz, ny, 2 * half + 1))
    mean = (field.at_points(p) + field.at_points(Points(-p.x, p.y, p.z))) / np.float32(2)
    return DistanceField(mean, origin, field.spacing_mm)


def _fit_joint(sacrum: DistanceField, hip: DistanceField, side: Side) -> F64:
    """Fit the height function to the places equidistant from the two bones."""
    (y_low, y_high), (z_low, z_high) = FIT_BOX_YZ_MM
    z, y, x = np.meshgrid(
        np.arange(z_low, z_high + 1, 1.5), np.arange(y_low, y_high + 1, 1.5), np.arange(20, 76, 0.5), indexing="ij"
    )
    p = Points(*(v.astype(np.float32) for v in (x * side.lateral_x, y, z)))
    near, far = sacrum.at_points(p), hip.at_points(p)
    crossing = (near - far)[:, :, :-1] < 0
    crossing &= (near - far)[:, :, 1:] >= 0
    first = crossing.argmax(axis=2)
    found = crossing.any(axis=2)
    k, j = np.nonzero(found)
    i = first[found]
    low, high = (near - far)[k, j, i], (near - far)[k, j, i + 1]
    lateral = x[k, j, i] + 0.5 * (-low / (high - low))
    weight = 1 / (1 + np.maximum(near + far, 0)[k, j, i].astype(float)) ** 1.5
    return fit_height(lateral, y[k, j, 0], z[k, j, 0], weight)


def _head(socket: F64) -> tuple[F64, float]:
    centre, radius = fit_sphere(socket)
    return centre, radius - HEAD_GAP_MM


def _symmetric_heads(heads: Mapping[Side, tuple[F64, float]]) -> dict[Side, tuple[F64, float]]:
    (left, a), (right, b) = heads[Side.LEFT], heads[Side.RIGHT]
    flip = np.array([-1.0, 1.0, 1.0])
    centre = (left + right * flip) / 2
    return {Side.LEFT: (centre, (a + b) / 2), Side.RIGHT: (centre * flip, (a + b) / 2)}


def _symmetric_landmarks(landmarks: Mapping[str, F64]) -> dict[str, F64]:
    flip = np.array([-1.0, 1.0, 1.0])
    swap = {"left": "right", "right": "left"}
    twin = {name: "_".join(swap.get(part, part) for part in name.split("_")) for name in landmarks}
    return {name: (place + landmarks[twin[name]] * flip) / 2 for name, place in landmarks.items()}
