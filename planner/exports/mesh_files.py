"""Surfaces as STL, PLY and OBJ; ``SPACE=LPS`` in the header tells 3D Slicer which frame they are in."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import numpy as np

from planner import NOTICE
from planner.exports.surfaces import Surface

__all__ = ["MESH_WRITERS", "write_obj", "write_ply", "write_stl"]

SPACE = "SPACE=LPS"
"""What Slicer looks for."""

STL_HEADER_BYTES = 80
"""Free text before the number of triangles; it must not begin with "solid", which marks a text file."""

STL_FACE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
PLY_FACE = np.dtype([("count", "u1"), ("corners", "<i4", 3)])


def write_stl(path: Path, surface: Surface) -> None:
    """Write a binary STL."""
    triangles = np.zeros(len(surface.faces), STL_FACE)
    triangles["corners"] = surface.vertices_lps[surface.faces]
    first, second, third = (triangles["corners"][:, k] for k in range(3))
    normal = np.cross(second - first, third - first)
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    triangles["normal"] = np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)
    header = f"sacroplan {SPACE} mm. {NOTICE}".encode("ascii").ljust(STL_HEADER_BYTES)
    path.write_bytes(header + np.uint32(len(triangles)).astype("<u4").tobytes() + triangles.tobytes())


def write_ply(path: Path, surface: Surface) -> None:
    """Write a binary PLY."""
    faces = np.zeros(len(surface.faces), PLY_FACE)
    faces["count"], faces["corners"] = 3, surface.faces
    header = "\n".join(
        [
            "ply",
            "format binary_little_endian 1.0",
            f"comment {NOTICE}",
            f"comment {SPACE}",
            f"element vertex {len(surface.vertices_lps)}",
            *(f"property float {axis}" for axis in "xyz"),
            f"element face {len(faces)}",
            "property list uchar int vertex_indices",
            "end_header\n",
        ]
    )
    path.write_bytes(header.encode("ascii") + surface.vertices_lps.astype("<f4").tobytes() + faces.tobytes())


def write_obj(path: Path, surface: Surface) -> None:
    """Write a text OBJ, to a micrometre."""
    text = StringIO()
    text.write(f"# {NOTICE}\n# {SPACE}\n")
    np.savetxt(text, surface.vertices_lps, fmt="v %.3f %.3f %.3f")
    np.savetxt(text, surface.faces + 1, fmt="f %d %d %d")
    path.write_text(text.getvalue(), "ascii")


MESH_WRITERS: dict[str, Callable[[Path, Surface], None]] = {"stl": write_stl, "ply": write_ply, "obj": write_obj}
"""By the file's ending."""
