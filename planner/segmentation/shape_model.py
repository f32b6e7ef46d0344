"""The statistical shape model of the pelvis: both hip bones and the sacrum (S1-S3) as one shape.

A shape is ``mean + sum_k c_k mode_k`` with coefficients in standard deviations. The model frame is the pelvic frame:
the mean orientation of 28 supine people, +x left, +y posterior, +z cranial, millimetres, origin between the SI joints.

Built by ``script/build_shape_model.py`` from the JHU pelvis atlas (Han et al., Phys Med Biol 2019;64:045006,
10.1088/1361-6560/ab1456; CC BY 4.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.segmentation.model import BONE_NAMES

__all__ = ["MODEL_PATH", "ShapeModel", "load_shape_model", "pack", "similarity", "vertex_normals"]

MODEL_PATH = Path(__file__).with_name("data") / "pelvis_shape.npz"
"""The file that ships with the package."""

MEAN_STEP_MM = 0.01
"""Step in which the mean is stored (int16)."""

MODE_LEVELS = 127
"""Each mode is stored in this many steps up to its own largest displacement (int8)."""

S3_STEP = 0.9
"""Distance from a foramen of S2 to that of S3 in terms of S1 to S2: 12.8 / 14.2 mm (10.1007/s00276-010-0735-0)."""

Points = NDArray[np.float64]
Faces = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class ShapeModel:
    """Mean, modes and named places.

    Attributes
    ----------
    mean : (n, 3) float64 array
        Vertices of the three bones of `BONE_NAMES`, stacked.
    modes : (k, n, 3) float64 array
        Displacement of each vertex for one standard deviation of each mode, mm; largest mode first.
    faces : tuple of (m, 3) int32 arrays
        One closed surface a bone, outward winding, indices from the bone's own first vertex.
    counts : tuple of int
        Vertices of each bone.
    landmarks : mapping of name to int32 array
        Indices into `mean`; the landmark is the mean of those vertices.
    regions : mapping of name to int32 array
        Indices into `mean`: ``left_auricular_sacrum``, ``left_auricular_hip``, ``sacrum_cut``, ``left_acetabulum`` ...
    """

    mean: Points
    modes: Points
    faces: tuple[Faces, ...]
    counts: tuple[int, ...]
    landmarks: Mapping[str, NDArray[np.int32]]
    regions: Mapping[str, NDArray[np.int32]]

    @cached_property
    def spans(self) -> tuple[slice, ...]:
        """Place of each bone in the stacked vertices."""
        ends = np.cumsum((0, *self.counts))
        return tuple(slice(int(a), int(b)) for a, b in pairwise(ends))

    def span(self, bone: str) -> slice:
        """Place of one bone in the stacked vertices."""
        return self.spans[BONE_NAMES.index(bone)]

    def faces_of(self, bone: str) -> Faces:
        """Triangles of one bone, indices from its own first vertex."""
        return self.faces[BONE_NAMES.index(bone)]

    @cached_property
    def deviations(self) -> NDArray[np.float64]:
        """(k,) root mean square displacement for one standard deviation of each mode, mm."""
        spread: NDArray[np.float64] = np.sqrt((self.modes**2).sum(axis=2).mean(axis=1))
        return spread

    def reconstruct(self, coefficients: NDArray[np.float64]) -> Points:
        """Vertices ``(n, 3)`` in the model frame for coefficients in standard deviations (missing ones are 0)."""
        k = len(coefficients)
        shape: Points = self.mean + np.tensordot(coefficients, self.modes[:k], axes=1)
        return shape

    def normals(self, vertices: Points) -> Points:
        """Outward unit normals ``(n, 3)`` of stacked vertices."""
        return np.concatenate([vertex_normals(vertices[s], f) for s, f in zip(self.spans, self.faces, strict=True)])

    def split(self, vertices: Points) -> dict[str, Points]:
        """Stacked vertices by bone."""
        return {name: vertices[s] for name, s in zip(BONE_NAMES, self.spans, strict=True)}

    def landmarks_on(self, vertices: Points) -> dict[str, NDArray[np.float64]]:
        """Place of every landmark on stacked vertices in any frame.

        The atlas ends within S3: its foramina are extrapolated from those of S1 and S2.
        """
        places = {name: vertices[index].mean(axis=0) for name, index in self.landmarks.items()}
        for name in [n for n in places if "_s2_" in n]:
            s1, s2 = places[name.replace("_s2_", "_s1_")], places[name]
            places[name.replace("_s2_", "_s3_")] = s2 + S3_STEP * (s2 - s1)
        return places


def vertex_normals(vertices: Points, faces: Faces) -> Points:
    """Area-weighted outward unit normals ``(n, 3)`` of a closed surface."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    area = np.cross(b - a, c - a)
    normals = np.stack(
        [sum(np.bincount(faces[:, i], area[:, axis], len(vertices)) for i in range(3)) for axis in range(3)], axis=1
    )
    unit: Points = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return unit


def similarity(
    source: Points, target: Points, weights: NDArray[np.float64] | None = None
) -> tuple[float, Points, NDArray[np.float64]]:
    """Scale, rotation and shift that bring `source` closest to `target`: ``target ~ scale * source @ R.T + shift``.

    References
    ----------
    Umeyama, IEEE PAMI 1991;13:376.
    """
    w = np.ones(len(source)) if weights is None else weights
    w = w / w.sum()
    a, b = w @ source, w @ target
    p, q = source - a, target - b
    u, singular, vt = np.linalg.svd((q * w[:, None]).T @ p)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation: Points = (u * sign) @ vt
    scale = float((singular * sign).sum() / (w @ (p**2).sum(axis=1)))
    return scale, rotation, b - scale * rotation @ a


def pack(model: ShapeModel) -> dict[str, NDArray[Any]]:
    """Arrays of the model's file: quantised mean and modes, faces, landmarks and regions."""
    largest = np.abs(model.modes).max(axis=(1, 2))
    arrays: dict[str, NDArray[Any]] = {
        "mean": np.round(model.mean / MEAN_STEP_MM).astype(np.int16),
        "modes": np.round(model.modes / largest[:, None, None] * MODE_LEVELS).astype(np.int8),
        "mode_largest_mm": largest.astype(np.float32),
        "counts": np.array(model.counts, np.int32),
    }
    arrays |= {f"faces_{name}": f.astype(np.uint16) for name, f in zip(BONE_NAMES, model.faces, strict=True)}
    arrays |= {f"landmark_{name}": index.astype(np.uint16) for name, index in model.landmarks.items()}
    arrays |= {f"region_{name}": index.astype(np.uint16) for name, index in model.regions.items()}
    return arrays


def unpack(arrays: Mapping[str, NDArray[Any]]) -> ShapeModel:
    """Inverse of `pack`."""
    scale = arrays["mode_largest_mm"].astype(np.float64) / MODE_LEVELS
    return ShapeModel(
        mean=arrays["mean"].astype(np.float64) * MEAN_STEP_MM,
        modes=arrays["modes"].astype(np.float64) * scale[:, None, None],
        faces=tuple(arrays[f"faces_{name}"].astype(np.int32) for name in BONE_NAMES),
        counts=tuple(int(n) for n in arrays["counts"]),
        landmarks=_named(arrays, "landmark_"),
        regions=_named(arrays, "region_"),
    )


def _named(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[np.int32]]:
    return {name.removeprefix(prefix): arrays[name].astype(np.int32) for name in arrays if name.startswith(prefix)}


@lru_cache(maxsize=4)
def load_shape_model(path: Path = MODEL_PATH) -> ShapeModel:
    """Load a shape model; the one that ships with the package unless told otherwise."""
    with np.load(path) as archive:
        return unpack({name: archive[name] for name in archive.files})
