"""Regions and landmarks of the pelvis, found by geometry on the mean of the shape model.

Only ``script/build_shape_model.py`` calls this; the model's file carries the result as vertex indices.
All points are in the pelvic frame: +x left, +y posterior, +z cranial, mm.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from planner.labels import Side
from planner.segmentation.shape_model import ShapeModel

__all__ = ["find_landmarks", "find_regions"]

FACING_MM = 5.0
"""Facing bones of the mean no further apart than this are the auricular (articular) region [P]."""

FACING_COSINE = -0.5
"""Normals of facing surfaces point against each other at least this much [P]."""

CUT_BAND_MM = 14.0
"""The atlas ends the sacrum at S3: the cut lies within this of its caudal end [P]."""

HEAD_RADII_MM = (20.0, 34.0)
"""Femoral head with cartilage: radius of the acetabulum in adults [P]."""

LOOK = np.array([0.0, 1.0, 0.65]) / np.hypot(1.0, 0.65)
"""Direction square through the sacrum of the mean, ventral to dorsal: its foramina are open along it."""

SHADOW_STEP_MM = 0.5
"""Cell of the shadow in which holes are looked for."""

HOLE_MM2 = 3.0
"""Smallest gap in the shadow that is a foramen [P]."""

RIM_MM, RIM_COSINE = 4.0, 0.2
"""The rim of a foramen: this close round the hole and facing out of the mouth [P]."""

Index = NDArray[np.int32]
Points = NDArray[np.float64]


def find_regions(model: ShapeModel) -> dict[str, Index]:
    """Auricular regions on both bones of each joint, the sacrum's cut end and the acetabula."""
    normals = model.normals(model.mean)
    regions: dict[str, Index] = {"sacrum_cut": sacrum_cut(model, normals)}
    for side in Side:
        sacrum, hip = auricular(model, normals, side)
        regions[f"{side}_auricular_sacrum"] = sacrum
        regions[f"{side}_auricular_hip"] = hip
        regions[f"{side}_acetabulum"] = acetabulum(model, normals, side)
    return regions


def auricular(model: ShapeModel, normals: Points, side: Side) -> tuple[Index, Index]:
    """Vertices of the sacrum and of one hip bone that face each other closely."""
    a, b = model.span("sacrum"), model.span(f"{side}_hip")
    found = []
    for this, other in ((a, b), (b, a)):
        distance, near = cKDTree(model.mean[other]).query(model.mean[this])
        opposed = (normals[this] * normals[other][near]).sum(axis=1) < FACING_COSINE
        found.append((np.flatnonzero((distance < FACING_MM) & opposed) + this.start).astype(np.int32))
    return found[0], found[1]


def sacrum_cut(model: ShapeModel, normals: Points) -> Index:
    """Vertices of the cap where the atlas cuts the sacrum: near its caudal end, facing caudally."""
    span = model.span("sacrum")
    z = model.mean[span, 2]
    cap = (z < z.min() + CUT_BAND_MM) & (normals[span, 2] < -0.5)
    return _stacked(cap, span)


def acetabulum(model: ShapeModel, normals: Points, side: Side) -> Index:
    """Vertices of the socket: those whose normals meet in one centre, a femoral head's radius away."""
    span = model.span(f"{side}_hip")
    points, directions = model.mean[span], normals[span]
    low, high = points.min(axis=0), points.max(axis=0)
    lateral = high[0] if side is Side.LEFT else low[0]
    medial = low[0] if side is Side.LEFT else high[0]
    centre = np.array(
        [medial + 0.62 * (lateral - medial), low[1] + 0.42 * (high[1] - low[1]), low[2] + 0.36 * (high[2] - low[2])]
    )
    for _ in range(20):
        reach = np.linalg.norm(centre - points, axis=1)
        toward = ((centre - points) * directions).sum(axis=1) / reach
        socket = (reach > HEAD_RADII_MM[0]) & (reach < HEAD_RADII_MM[1]) & (toward > 0.8)
        centre, _ = fit_sphere(points[socket])
    return _stacked(socket, span)


def fit_sphere(points: Points) -> tuple[Points, float]:
    """Centre and radius of the sphere that fits points best (algebraic least squares)."""
    system = np.column_stack([2.0 * points, np.ones(len(points))])
    solution = np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)[0]
    centre: Points = solution[:3]
    return centre, float(np.sqrt(solution[3] + centre @ centre))


def find_landmarks(model: ShapeModel) -> dict[str, Index]:
    """Landmarks as sets of vertices whose mean is the place."""
    found = {name: np.array([index], np.int32) for name, index in sacral_points(model).items()}
    for side in Side:
        found |= {f"{side}_{name}": np.array([index], np.int32) for name, index in hip_points(model, side).items()}
        found |= {f"{side}_{name}": index for name, index in foramina(model, side).items()}
    found["s1_endplate_centre"] = endplate(model)
    return found


def sacral_points(model: ShapeModel) -> dict[str, int]:
    """Promontory: the most anterior point of the midline of S1."""
    span = model.span("sacrum")
    points = model.mean[span]
    midline = np.abs(points[:, 0]) < 4.0
    return {"promontory": int(np.where(midline, points[:, 1], np.inf).argmin()) + span.start}


def endplate(model: ShapeModel) -> Index:
    """Vertices of the S1 endplate: facing cranially and forward, ahead of the canal, next to the promontory."""
    span = model.span("sacrum")
    points, normals = model.mean[span], model.normals(model.mean)[span]
    top = points[sacral_points(model)["promontory"] - span.start]
    ahead = (points[:, 1] < top[1] + 32.0) & (np.abs(points[:, 0]) < 18.0) & (points[:, 2] > top[2] - 6.0)
    return _stacked(ahead & (normals[:, 2] > 0.6), span)


def hip_points(model: ShapeModel, side: Side) -> dict[str, int]:
    """Spines and notch of one hip bone, from the outline that it shows from the side."""
    span = model.span(f"{side}_hip")
    points = model.mean[span]
    y, z = points[:, 1], points[:, 2]
    upper = z > 0.5 * (z.min() + z.max())
    asis = int(np.where(upper, y, np.inf).argmin())
    psis = int(np.where(upper, y, -np.inf).argmax())
    rim = outline(points, posterior=True)
    notch = corner(points, rim, z.min() + 0.38 * np.ptp(z), z[psis], towards=-1)
    spine = corner(points, rim, z.min() + 0.2 * np.ptp(z), z[notch] - 8.0, towards=1)
    piis = corner(points, rim, z[notch] + 4.0, z[psis] - 12.0, towards=1, chord=(psis, notch))
    front = outline(points, posterior=False)
    aiis = corner(points, front, z.min() + 0.35 * np.ptp(z), z[asis] - 18.0, towards=-1)
    named = {"asis": asis, "psis": psis, "sciatic_notch": notch, "ischial_spine": spine, "piis": piis, "aiis": aiis}
    return {name: index + span.start for name, index in named.items()}


def outline(points: Points, *, posterior: bool, step_mm: float = 3.0) -> Index:
    """Most posterior (or anterior) vertex of each slab along z, caudal first."""
    slab = np.floor((points[:, 2] - points[:, 2].min()) / step_mm).astype(int)
    key = points[:, 1] if posterior else -points[:, 1]
    best = [np.flatnonzero(slab == k)[np.argmax(key[slab == k])] for k in np.unique(slab)]
    return np.array(best, np.int32)


def corner(
    points: Points, rim: Index, low_z: float, high_z: float, towards: int, chord: tuple[int, int] | None = None
) -> int:
    """Vertex of an outline between two heights that juts out most towards +y or -y, beyond a chord if one is given."""
    part = rim[(points[rim, 2] > low_z) & (points[rim, 2] < high_z)]
    jut = points[part, 1].copy()
    if chord is not None:
        (y0, z0), (y1, z1) = points[chord[0], 1:], points[chord[1], 1:]
        jut -= y0 + (points[part, 2] - z0) / (z1 - z0) * (y1 - y0)
    return int(part[np.argmax(jut * towards)])


def foramina(model: ShapeModel, side: Side) -> dict[str, Index]:
    """Mouths of the S1 and S2 foramina: the rims of the holes that a look square at the sacrum goes through.

    The atlas ends within S3, so that level has no hole; `ShapeModel.landmarks_on` extrapolates it.
    """
    span = model.span("sacrum")
    points, normals = model.mean[span], model.normals(model.mean)[span]
    up = np.cross([1.0, 0.0, 0.0], LOOK)
    holes = open_holes(points @ np.column_stack([[1.0, 0.0, 0.0], up]), model.faces_of("sacrum"))
    found: dict[str, Index] = {}
    mine = holes[holes[:, 0] * side.lateral_x > 0]
    for level, hole in zip(("s1", "s2"), mine[np.argsort(-mine[:, 1])], strict=True):
        off_axis = np.hypot(points[:, 0] - hole[0], points @ up - hole[1])
        for aspect, facing in (("ventral", normals @ -LOOK), ("dorsal", normals @ LOOK)):
            rim = (off_axis < hole[2] + RIM_MM) & (facing > RIM_COSINE)
            found[f"{level}_{aspect}"] = (np.flatnonzero(rim) + span.start).astype(np.int32)
    return found


def open_holes(shadow: Points, faces: Index) -> Points:
    """Gaps in the shadow of a surface that its outline encloses: ``(n, 3)`` rows of centre and radius, mm."""
    low = shadow.min(axis=0) - 2.0
    size = np.ceil((np.ptp(shadow, axis=0) + 4.0) / SHADOW_STEP_MM).astype(int)
    dark = np.zeros(size, bool)
    weights = np.array([(i, j, 12 - i - j) for i in range(13) for j in range(13 - i)]) / 12.0
    cells = (np.einsum("wk,fkc->fwc", weights, shadow[faces]).reshape(-1, 2) - low) / SHADOW_STEP_MM
    dark[tuple(cells.astype(int).T)] = True
    gaps, count = ndimage.label(~dark)
    inner = [k for k in range(1, count + 1) if k != gaps[0, 0] and (gaps == k).sum() * SHADOW_STEP_MM**2 > HOLE_MM2]
    rows = [
        (
            *(np.argwhere(gaps == k).mean(axis=0) * SHADOW_STEP_MM + low),
            np.sqrt((gaps == k).sum() / np.pi) * SHADOW_STEP_MM,
        )
        for k in inner
    ]
    return np.array(rows).reshape(-1, 3)


def _stacked(chosen: NDArray[np.bool_], span: slice) -> Index:
    index: Index = (np.flatnonzero(chosen) + span.start).astype(np.int32)
    return index
