"""Draw the fitted surfaces onto the image: free of the shape model, but smooth.

The surfaces are subdivided; each vertex looks for its edge within a reach that shrinks, and the wanted moves are spread
over the surface by a membrane that grows softer: ``min_d sum w |d - t|^2 + stiffness |grad d|^2``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner.segmentation.model import BONE_NAMES
from planner.segmentation.profiles import EdgeSearch, find_edges, find_gap_edges
from planner.segmentation.shape_model import ShapeModel, vertex_normals
from planner.volume import Volume

__all__ = ["Surfaces", "draw_surfaces", "subdivide"]

ROUNDS = (
    (4.0, 60.0),
    (4.0, 30.0),
    (3.0, 16.0),
    (3.0, 10.0),
    (2.5, 6.0),
    (2.0, 4.0),
    (2.0, 2.0),
    (1.5, 1.0),
    (1.5, 0.6),
)
"""Reach of the edge search in mm, and stiffness of the membrane [P]."""

SWEEPS = 40
"""Jacobi sweeps of the membrane."""

FINE_STEP, FINE_STEP_MM = 0.5, (0.35, 0.5)
"""Step of the edge search in voxels, and its bounds in mm: finer ones see the steps of the interpolation [P]."""

THREADS = 2
"""Bones drawn at once."""

Floats = NDArray[np.float64]
Faces = NDArray[np.int32]
Neighbours = tuple[NDArray[np.int32], NDArray[np.int32]]


@dataclass(frozen=True, eq=False)
class Surfaces:
    """The three bones' surfaces on the image.

    Attributes
    ----------
    vertices : dict of bone name to (n, 3) float64 array
        LPS mm.
    faces : dict of bone name to (m, 3) int32 array
        Closed, outward.
    strength : dict of bone name to (n,) float64 array
        HU fall of the edge that each vertex rests on, 0 where it found none.
    """

    vertices: dict[str, Floats]
    faces: dict[str, Faces]
    strength: dict[str, Floats]


def subdivide(faces: Faces, count: int) -> tuple[Faces, NDArray[np.int32]]:
    """Split every triangle into four; returns the faces and the ``(m, 2)`` parents of the new vertices."""
    edges = np.sort(np.vstack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64), axis=1)
    keys, inverse = np.unique(edges[:, 0] * count + edges[:, 1], return_inverse=True)
    parents = np.column_stack(np.divmod(keys, count))
    ab, bc, ca = (inverse.reshape(3, -1) + count).astype(np.int32)
    a, b, c = faces.T
    split = np.concatenate([np.stack(t, axis=1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
    return split.astype(np.int32), parents.astype(np.int32)


def draw_surfaces(volume: Volume, fitted: dict[str, Floats], model: ShapeModel) -> Surfaces:
    """Move the fitted surfaces onto the edges of the image; bones do not know of each other."""
    with ThreadPoolExecutor(THREADS) as pool:  # kernels hold no lock
        drawn = list(pool.map(lambda name: draw_bone(volume, fitted[name], model, name), BONE_NAMES))
    vertices, faces, strength = (dict(zip(BONE_NAMES, part, strict=True)) for part in zip(*drawn, strict=True))
    return Surfaces(vertices, faces, strength)


def draw_bone(volume: Volume, start: Floats, model: ShapeModel, name: str) -> tuple[Floats, Faces, Floats]:
    """Vertices, faces and edge strength of one bone."""
    faces, parents = subdivide(model.faces_of(name), len(start))
    gap, free = marks(model, name, parents)
    points = np.vstack([start, start[parents].mean(axis=1)])
    vertices, strength = draw_one(volume, points, faces, gap, free)
    return vertices, faces, strength


def marks(model: ShapeModel, name: str, parents: NDArray[np.int32]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Vertices of a subdivided bone that face another bone across a joint, and those with no edge to look for."""
    span = model.span(name)
    result = []
    for regions in (("auricular", "acetabulum"), ("cut",)):
        mark = np.zeros(len(model.mean), bool)
        for region, index in model.regions.items():
            if any(word in region for word in regions):
                mark[index] = True
        mine = mark[span]
        result.append(np.concatenate([mine, mine[parents].all(axis=1)]))
    return result[0], result[1]


def draw_one(
    volume: Volume, points: Floats, faces: Faces, gap: NDArray[np.bool_], free: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Move one bone's surface."""
    neighbours = adjacency(faces, len(points))
    strength = np.zeros(len(points))
    step_mm = float(np.clip(FINE_STEP * np.cbrt(np.prod(volume.grid.spacing_zyx_mm)), *FINE_STEP_MM))
    for reach, stiffness in ROUNDS:
        normals = vertex_normals(points, faces)
        search = EdgeSearch(reach, step_mm)
        offset, strength = find_edges(volume, points, normals, search)
        offset[gap], strength[gap] = find_gap_edges(volume, points[gap], normals[gap], search)
        weight = np.where(free, 0.0, strength / search.enough_hu)
        points = points + membrane(neighbours, offset[:, None] * normals, weight, stiffness)
    return points, strength


def adjacency(faces: Faces, count: int) -> Neighbours:
    """Neighbours of each vertex of a surface, and where each vertex's begin."""
    edges = np.vstack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    both = np.vstack([edges, edges[:, ::-1]]).astype(np.int64)
    rows, columns = np.divmod(np.unique(both[:, 0] * count + both[:, 1]), count)
    first = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=count))])
    return columns.astype(np.int32), first.astype(np.int32)


def membrane(neighbours: Neighbours, wanted: Floats, weight: Floats, stiffness: float) -> Floats:
    """Find moves that follow the wanted ones where these have weight, and their neighbours elsewhere (Jacobi)."""
    pull = weight[:, None] * wanted
    scale = 1.0 / (weight + stiffness)
    moves, other = pull * scale[:, None], np.empty_like(pull)
    for _ in range(SWEEPS):
        _sweep(neighbours, pull, scale, stiffness, moves, other)
        moves, other = other, moves
    return moves


@njit(cache=True, nogil=True)
def _sweep(neighbours, pull, scale, stiffness, moves, out):  # type: ignore[no-untyped-def]
    columns, first = neighbours
    for v in range(len(scale)):
        begin, end = first[v], first[v + 1]
        share = 1.0 / (end - begin) if end > begin else 0.0
        for axis in range(3):
            mean = 0.0
            for k in range(begin, end):
                mean += moves[columns[k], axis] * share
            out[v, axis] = (pull[v, axis] + stiffness * mean) * scale[v]
