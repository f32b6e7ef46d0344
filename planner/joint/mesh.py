"""A triangulated sheet as a graph: smoothing, opening, connected parts, rims."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

__all__ = ["Sheet"]

Points = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Sheet:
    """Vertices and triangles; every method is a pure function of them.

    Attributes
    ----------
    vertices_lps : (n, 3) float64 array
        mm.
    faces : (m, 3) int32 array
        Vertex numbers.
    """

    vertices_lps: Points
    faces: NDArray[np.int32]

    @cached_property
    def edges(self) -> NDArray[np.int64]:
        """(k, 2) directed edges, three a triangle, in the triangle's sense of rotation."""
        edges: NDArray[np.int64] = self.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64)
        return edges

    @cached_property
    def _adjacency(self) -> sparse.csr_array:
        n = len(self.vertices_lps)
        rows = np.concatenate([self.edges[:, 0], self.edges[:, 1], np.arange(n)])
        columns = np.concatenate([self.edges[:, 1], self.edges[:, 0], np.arange(n)])
        matrix = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(n, n))
        matrix.data[:] = 1.0
        return matrix

    @cached_property
    def rim_edges(self) -> NDArray[np.int64]:
        """(k, 2) directed edges that belong to one triangle only."""
        n = len(self.vertices_lps)
        forward, backward = self.edges @ [n, 1], np.sort(self.edges[:, ::-1] @ [n, 1])
        at = np.minimum(np.searchsorted(backward, forward), len(backward) - 1)
        rim: NDArray[np.int64] = self.edges[backward[at] != forward]
        return rim

    @cached_property
    def rim(self) -> Mask:
        """Vertices on the sheet's rim."""
        mask = np.zeros(len(self.vertices_lps), bool)
        mask[self.rim_edges.ravel()] = True
        return mask

    @cached_property
    def face_areas_mm2(self) -> NDArray[np.float64]:
        """Area of each triangle."""
        a, b, c = (self.vertices_lps[self.faces[:, i]] for i in range(3))
        area: NDArray[np.float64] = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
        return area

    @cached_property
    def vertex_areas_mm2(self) -> NDArray[np.float64]:
        """A third of the triangles around each vertex."""
        area = np.bincount(self.faces.ravel(), np.repeat(self.face_areas_mm2 / 3, 3), len(self.vertices_lps))
        return area.astype(np.float64)

    @cached_property
    def edge_mm(self) -> float:
        """Median edge length."""
        ends = self.vertices_lps[self.edges]
        return float(np.median(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)))

    def rings(self, radius_mm: float) -> int:
        """How many rings of neighbours reach about `radius_mm`."""
        return round(radius_mm / self.edge_mm)

    def smooth(
        self, values: NDArray[np.float64], rings: int, weights: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Average each vertex with its neighbours `rings` times, weighted; 0 where no weight is near."""
        weight = np.ones(len(self.vertices_lps)) if weights is None else weights.astype(np.float64)
        total = values * (weight if values.ndim == 1 else weight[:, None])
        for _ in range(rings):
            total, weight = self._adjacency @ total, self._adjacency @ weight
            scale = max(float(weight.max(initial=0.0)), 1e-300)
            total, weight = total / scale, weight / scale
        safe = np.where(weight > 0, weight, 1.0)
        result: NDArray[np.float64] = total / (safe if values.ndim == 1 else safe[:, None])
        return result

    def spread(self, values: NDArray[np.float64], known: Mask, rings: int) -> tuple[NDArray[np.float64], Mask]:
        """Fill ``(n, k)`` values in from where they are known, ring by ring, as a membrane; and where they reach."""
        filled, reached = values * known[:, None], known
        for _ in range(rings):
            weight = self._adjacency @ reached.astype(np.float64)
            mean = (self._adjacency @ filled) / np.maximum(weight, 1.0)[:, None]
            filled, reached = np.where(known[:, None], values, mean), reached | (weight > 0)
        return filled, reached

    def grow(self, mask: Mask, rings: int) -> Mask:
        """Dilate by rings of neighbours."""
        for _ in range(rings):
            mask = (self._adjacency @ mask.astype(np.float64)) > 0
        return mask

    def shrink(self, mask: Mask, rings: int) -> Mask:
        """Erode by rings; the sheet's own rim erodes nothing."""
        return ~self.grow(~mask, rings)

    def parts(self, mask: Mask) -> list[NDArray[np.int64]]:
        """Vertex numbers of the connected parts of `mask`, largest area first."""
        inside = np.flatnonzero(mask)
        if not len(inside):
            return []
        graph = self._adjacency[inside][:, inside]
        count, part = connected_components(graph, directed=False)
        areas = np.bincount(part, self.vertex_areas_mm2[inside], count)
        return [inside[part == i] for i in np.argsort(-areas, kind="stable")]

    def largest(self, mask: Mask) -> Mask:
        """Only the largest connected part."""
        out = np.zeros_like(mask)
        parts = self.parts(mask)
        if parts:
            out[parts[0]] = True
        return out

    def fill(self, mask: Mask) -> Mask:
        """Add the parts of the rest that do not reach the sheet's rim: holes."""
        out = mask.copy()
        for part in self.parts(~mask):
            if not self.rim[part].any():
                out[part] = True
        return out

    def take(self, mask: Mask) -> tuple[Sheet, NDArray[np.int64]]:
        """Give the triangles all of whose corners are in `mask`, and the old numbers of their vertices."""
        faces = self.faces[mask[self.faces].all(axis=1)]
        used = np.zeros(len(self.vertices_lps), bool)
        used[faces] = True
        kept, number = np.flatnonzero(used), np.cumsum(used) - 1
        return Sheet(self.vertices_lps[kept], number[faces].astype(np.int32)), kept

    def moved(self, vertices_lps: Points) -> Sheet:
        """Give the same triangles between other places."""
        sheet = Sheet(vertices_lps, self.faces)
        sheet.__dict__["_adjacency"] = self._adjacency  # of the triangles alone, and dear
        return sheet

    def flipped(self) -> Sheet:
        """Give the same sheet with every triangle turned over."""
        return Sheet(self.vertices_lps, np.ascontiguousarray(self.faces[:, ::-1]))

    def face_normals(self) -> Points:
        """(m, 3) unit normals (right-hand rule); zero for a triangle without area."""
        a, b, c = (self.vertices_lps[self.faces[:, i]] for i in range(3))
        cross = np.cross(b - a, c - a)
        length = np.linalg.norm(cross, axis=1, keepdims=True)
        normals: Points = cross / np.where(length > 0, length, 1.0)
        return normals
