"""Values that the lateral comparison gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from planner.outcome import Outcome
from planner.trajectory.model import Clearance

__all__ = ["BoneVolumes", "LateralPlan", "Rod"]


@dataclass(frozen=True)
class BoneVolumes:
    """Bone within implants, mm3."""

    sacrum_mm3: float
    hip_mm3: float

    def __add__(self, other: BoneVolumes) -> BoneVolumes:
        return BoneVolumes(self.sacrum_mm3 + other.sacrum_mm3, self.hip_mm3 + other.hip_mm3)


@dataclass(frozen=True, eq=False)
class Rod:
    """One lateral rod.

    Attributes
    ----------
    level : str
        Where its tip lies among the ventral foramina that were found: ``above S1``, ``S1-S2``, ``S2-S3``, ``below S3``
        (or the last one found), or ``unknown``.
    diameter_mm, length_mm : float
        Catalogue size.
    entry_lps, tip_lps, skin_lps : (3,) float64 arrays
        Centres of the near and the far end face, and where the axis meets the skin (NaN if outside the scan).
    crossing_lps : (3,) float64 array
        Where the axis crosses the joint's mid-surface.
    crossing_zone : str
        ``articular`` or ``ligamentous``.
    joint_angle_deg : float
        Of the axis to the joint's normal there.
    in_sacrum_mm, in_ilium_mm : float
        Length of the axis within each bone's label.
    proud_mm : float
        Near end outside the ilium, on the axis.
    clearances : mapping of str to Clearance
        ``neural``, ``ventral_cortex``, ``sciatic_notch`` and, where there is any, ``soft``.
    removed : BoneVolumes
        Bone within the rod.
    safe_radius_mm : float
        It may lie this far aside, same direction, with every constraint kept; at most 5.
    section_mm : (k, 2) float64 array or None
        Cross-section in `across_lps`, mm.
    across_lps : (2, 3) float64 array
        Unit vectors across the axis.
    """

    level: str
    diameter_mm: float
    length_mm: float
    entry_lps: NDArray[np.float64]
    tip_lps: NDArray[np.float64]
    skin_lps: NDArray[np.float64]
    crossing_lps: NDArray[np.float64]
    crossing_zone: str
    joint_angle_deg: float
    in_sacrum_mm: float
    in_ilium_mm: float
    proud_mm: float
    clearances: Mapping[str, Clearance]
    removed: BoneVolumes
    safe_radius_mm: float
    section_mm: NDArray[np.float64] | None
    across_lps: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LateralPlan(Outcome):
    """The lateral rods of one side, or why there are none.

    Attributes
    ----------
    implant_id : str
        Catalogue entry.
    rods : tuple of Rod
        Parallel, the most cranial first; all of them or none.
    spacing_mm : tuple of float
        Axis to axis of neighbours.
    to_anterior_deg, cranial_tilt_deg : float
        Their direction in the pelvis; NaN without rods.
    c_arm : (orbital_deg, tilt_deg)
        View down the rods, for a patient lying prone.
    score : float
        0-1.
    binding : str
        The constraint with the least slack, or that keeps a bundle from fitting.
    fitting : int
        How many rods fit together at most.
    posterior_removed : BoneVolumes, optional
        Bone that the first posterior candidate takes, in the same way.
    """

    implant_id: str
    rods: tuple[Rod, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    to_anterior_deg: float = float("nan")
    cranial_tilt_deg: float = float("nan")
    c_arm: tuple[float, float] = field(default=(float("nan"), float("nan")))
    score: float = 0.0
    binding: str = ""
    fitting: int = 0
    posterior_removed: BoneVolumes | None = None
