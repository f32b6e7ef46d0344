"""``joint_left.ply`` and ``joint_right.ply``: the mid-surface as a binary PLY file, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner import NOTICE
from planner.errors import UnreadableFileError
from planner.joint.model import Joint

__all__ = ["read_joint_ply", "write_joint_ply"]

VERTEX = np.dtype([("x", "<f8"), ("y", "<f8"), ("z", "<f8"), ("gap_mm", "<f4"), ("zone", "u1"), ("third", "u1")])
"""One vertex, LPS mm."""

FACE = np.dtype([("count", "u1"), ("corners", "<i4", (3,))])
"""One triangle."""

NAMES = {"f8": "double", "f4": "float", "u1": "uchar"}


def write_joint_ply(path: Path, joint: Joint) -> None:
    """Write the mid-surface; the same joint gives the same bytes."""
    vertices = np.zeros(len(joint.vertices_lps), VERTEX)
    for column, name in enumerate("xyz"):
        vertices[name] = joint.vertices_lps[:, column]
    for name in ("gap_mm", "zone", "third"):
        vertices[name] = getattr(joint, name)
    faces = np.zeros(len(joint.faces), FACE)
    faces["count"], faces["corners"] = 3, joint.faces
    path.write_bytes(_header(joint, len(vertices), len(faces)) + vertices.tobytes() + faces.tobytes())


def read_joint_ply(path: Path) -> tuple[NDArray[np.void], NDArray[np.int32]]:
    """Read what `write_joint_ply` wrote: vertices (fields of `VERTEX`) and triangles ``(m, 3)``.

    Raises
    ------
    UnreadableFileError
        If the file is not such a PLY.
    """
    head, found, body = path.read_bytes().partition(b"end_header\n")
    lines = head.decode("ascii", errors="replace").splitlines()
    counts = {words[1]: int(words[2]) for words in map(str.split, lines) if words[:1] == ["element"]}
    wanted = [line for line in lines if line.startswith("property")]
    if not found or wanted != _properties() or set(counts) != {"vertex", "face"}:
        raise UnreadableFileError(f"{path.name} is not a joint surface of this program.", "Plan the case again.")
    split = counts["vertex"] * VERTEX.itemsize
    if len(body) != split + counts["face"] * FACE.itemsize:
        found_bytes = f"{path.name} is {len(body)} bytes long after its header, not as announced."
        raise UnreadableFileError(found_bytes, "Plan the case again.")
    vertices = np.frombuffer(body[:split], VERTEX)
    return vertices, np.frombuffer(body[split:], FACE)["corners"].astype(np.int32)


def _header(joint: Joint, vertices: int, faces: int) -> bytes:
    vertex, face = _properties()[:-1], _properties()[-1]
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        f"comment {NOTICE}",
        f"comment {joint.side} sacroiliac joint, mid-surface, LPS mm; zone 1 articular 2 ligamentous; "
        "third 1 superior 2 middle 3 inferior 0 unknown",
        f"element vertex {vertices}",
        *vertex,
        f"element face {faces}",
        face,
        "end_header\n",
    ]
    return "\n".join(lines).encode("ascii")


def _properties() -> list[str]:
    names = VERTEX.names or ()
    vertex = [f"property {NAMES[VERTEX[name].str.lstrip('<|')]} {name}" for name in names]
    return [*vertex, "property list uchar int vertex_indices"]
