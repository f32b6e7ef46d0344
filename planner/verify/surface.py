"""The joint's mid-surface beside a plan, read by code of its own: its edge, its zones, and which way it faces."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

__all__ = ["JointSurface", "read_surface"]

ARTICULAR, LIGAMENTOUS, MIDDLE = 1, 2, 2
"""Values of ``zone``, and of ``third`` in the middle."""

VERTEX_BYTES, FACE_BYTES = 30, 13
"""Three float64, a float32 and two bytes; a count and three int32."""

HEADER = (
    "property double x", "property double y", "property double z", "property float gap_mm", "property uchar zone",
    "property uchar third", "property list uchar int vertex_indices",
)  # fmt: skip
"""What the file must say that it holds."""

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class JointSurface:
    """Vertices ``(n, 3)`` in LPS mm, triangles ``(m, 3)``, and zone and third of each vertex."""

    vertices_lps: Points
    faces: NDArray[np.int64]
    zone: NDArray[np.uint8]
    third: NDArray[np.uint8]

    @cached_property
    def edge_lps(self) -> Points:
        """Vertices on its longest open edge: the joint's margin. Holes have edges, too, but shorter ones."""
        pairs: dict[tuple[int, int], int] = {}
        for face in np.sort(self.faces, axis=1).tolist():
            for pair in ((face[0], face[1]), (face[1], face[2]), (face[0], face[2])):
                pairs[pair] = pairs.get(pair, 0) + 1
        beside: dict[int, list[int]] = {}
        for (a, b), count in pairs.items():
            if count == 1:
                beside.setdefault(a, []).append(b)
                beside.setdefault(b, []).append(a)
        loops = _connected(beside)
        if not loops:
            return np.zeros((0, 3))
        lengths = [self._length(loop, beside) for loop in loops]
        return self.vertices_lps[sorted(loops[lengths.index(max(lengths))])]

    def _length(self, loop: set[int], beside: dict[int, list[int]]) -> float:
        ends = [(a, b) for a in loop for b in beside[a] if a < b]
        away = self.vertices_lps[[a for a, _ in ends]] - self.vertices_lps[[b for _, b in ends]]
        return float(np.linalg.norm(away, axis=1).sum())

    @cached_property
    def facing_lps(self) -> Points:
        """Mean unit normal of the middle third's vertices."""
        first, second, third = (self.vertices_lps[self.faces[:, k]] for k in range(3))
        across = np.cross(second - first, third - first)
        sums = [np.bincount(self.faces.ravel(), np.repeat(across[:, k], 3), len(self.vertices_lps)) for k in range(3)]
        normals = np.stack(sums, axis=1)
        normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        total = normals[self.third == MIDDLE].sum(axis=0)
        return np.asarray(total / np.linalg.norm(total))

    def distances(self, points_lps: Points) -> tuple[Points, Points]:
        """Distance of points to the nearest articular, and to the nearest ligamentous vertex; infinite without one."""
        articular, ligamentous = (
            cKDTree(self.vertices_lps[self.zone == zone]).query(points_lps)[0] for zone in (ARTICULAR, LIGAMENTOUS)
        )
        return articular, ligamentous


def _connected(beside: dict[int, list[int]]) -> list[set[int]]:
    """Parts of a graph."""
    parts, left = [], set(beside)
    while left:
        part, ahead = set(), [left.pop()]
        while ahead:
            place = ahead.pop()
            part.add(place)
            news = [other for other in beside[place] if other in left]
            left.difference_update(news)
            ahead += news
        parts.append(part)
    return parts


def read_surface(path: Path) -> JointSurface:
    """Read a joint's binary PLY.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is not what a plan's surface is.
    """
    head, end, body = path.read_bytes().partition(b"end_header\n")
    lines = head.decode("ascii", "replace").split("\n")
    counts = {words[1]: int(words[2]) for words in map(str.split, lines) if words[:1] == ["element"]}
    if not end or tuple(line for line in lines if line.startswith("property")) != HEADER:
        raise ValueError(f"{path.name} is not the surface of a joint")
    split = counts["vertex"] * VERTEX_BYTES
    if len(body) != split + counts["face"] * FACE_BYTES:
        raise ValueError(f"{path.name} holds {len(body)} bytes, not what its header says")
    rows = np.frombuffer(body, np.uint8, split).reshape(-1, VERTEX_BYTES)
    faces = np.frombuffer(body, np.uint8, offset=split).reshape(-1, FACE_BYTES)[:, 1:]
    vertices = np.ascontiguousarray(rows[:, :24]).view("<f8")
    corners = np.ascontiguousarray(faces).view("<i4").astype(np.int64)
    if not np.isfinite(vertices).all() or (len(corners) and not 0 <= corners.min() <= corners.max() < len(vertices)):
        raise ValueError(f"{path.name} holds places that are none")
    return JointSurface(vertices, corners, rows[:, 28], rows[:, 29])
