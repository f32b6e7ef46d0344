"""Values that the segmentation stage takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from planner.findings import Finding
from planner.labels import Side
from planner.volume import LabelMap

__all__ = ["BONE_NAMES", "Bones", "PelvicFrame", "PelvisPose", "ShapeFit", "Sureness"]

BONE_NAMES = ("sacrum", "left_hip", "right_hip")
"""Bones of the shape model, in the order of `planner.labels.Label` 1-3."""


@dataclass(frozen=True, eq=False)
class PelvicFrame:
    """The pelvis's own axes: +x left, +y posterior, +z cranial, millimetres, right-handed like LPS.

    Attributes
    ----------
    lps_from_pelvic : (4, 4) float64 array
        Rigid.
    """

    lps_from_pelvic: NDArray[np.float64]

    def to_lps(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map ``(..., 3)`` pelvic points to LPS."""
        result: NDArray[np.float64] = points @ self.lps_from_pelvic[:3, :3].T + self.lps_from_pelvic[:3, 3]
        return result

    def to_pelvic(self, points_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map ``(..., 3)`` LPS points to the pelvic frame."""
        result: NDArray[np.float64] = (points_lps - self.lps_from_pelvic[:3, 3]) @ self.lps_from_pelvic[:3, :3]
        return result

    @property
    def left_lps(self) -> NDArray[np.float64]:
        """Unit vector to the patient's left."""
        return self.lps_from_pelvic[:3, 0]

    @property
    def posterior_lps(self) -> NDArray[np.float64]:
        """Unit vector to posterior."""
        return self.lps_from_pelvic[:3, 1]

    @property
    def cranial_lps(self) -> NDArray[np.float64]:
        """Unit vector to cranial."""
        return self.lps_from_pelvic[:3, 2]


@dataclass(frozen=True, eq=False)
class PelvisPose:
    """Where the pelvis lies, roughly: the blind start of the fit.

    Attributes
    ----------
    lps_from_model : (4, 4) float64 array
        Similarity (rotation, one scale, translation).
    score : float
        Normalised correlation of the scan's bone with the mean shape, 0-1.
    """

    lps_from_model: NDArray[np.float64]
    score: float


@dataclass(frozen=True, eq=False)
class ShapeFit:
    """The shape model, fitted.

    Attributes
    ----------
    vertices_lps : mapping of bone name to (n, 3) float64 array
        Vertices in correspondence with the model's mean; see `BONE_NAMES`.
    seen : mapping of bone name to (n,) bool array
        Whether the vertex lies within the scan's field of view.
    lps_from_model : (4, 4) float64 array
        Similarity.
    coefficients : (k,) float64 array
        In standard deviations of each mode.
    rms_mm : float
        Root mean square distance of the seen vertices to the edges found in the image.
    landmarks_lps : mapping of name to (3,) float64 array
        For example ``left_psis``, ``right_piis``, ``left_asis``, ``promontory``, ``s1_endplate_centre``,
        ``left_sciatic_notch``, ``left_s1_ventral`` (foramen mouths, expected places).
    """

    vertices_lps: Mapping[str, NDArray[np.float64]]
    seen: Mapping[str, NDArray[np.bool_]]
    lps_from_model: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    rms_mm: float
    landmarks_lps: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Sureness:
    """How sure an outline is near the SI joint; see `planner.segmentation.confidence`.

    Attributes
    ----------
    confidence : float
        Probability, 0-1, that ``error_mm`` is in truth at most 2 mm.
    error_mm : float
        Expected 95th percentile of the distance between the outline and the truth.
    """

    confidence: float
    error_mm: float


@dataclass(frozen=True, eq=False)
class Bones:
    """The bones of the pelvis on the canonical, cropped grid.

    Attributes
    ----------
    labels : LabelMap
        `planner.labels.Label` values.
    fit : ShapeFit
        The fitted shape model that labelled them (or was fitted to given labels).
    frame : PelvicFrame
        The pelvis's own axes.
    confidence : mapping of str to float
        0-1 by bone name: of its less sure joint.
    findings : tuple of Finding
        For example ``scan-truncated``, ``metal``, ``low-confidence``.
    planned_sides : tuple of Side
        Sides whose hip bone and sacrum were found.
    joint_sureness : mapping of Side to Sureness
        Of each joint: that of its less sure face.
    """

    labels: LabelMap
    fit: ShapeFit
    frame: PelvicFrame
    confidence: Mapping[str, float]
    findings: tuple[Finding, ...] = ()
    planned_sides: tuple[Side, ...] = field(default=(Side.LEFT, Side.RIGHT))
    joint_sureness: Mapping[Side, Sureness] = field(default_factory=dict)
