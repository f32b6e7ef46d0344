"""Values that the trajectory stage gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from planner.findings import Finding
from planner.labels import Side

__all__ = ["Candidate", "Clearance", "PlacementError", "SidePlan"]


@dataclass(frozen=True, eq=False)
class Clearance:
    """Distance from the implant (or its access) to one structure.

    Attributes
    ----------
    mm : float
        Measured on samples.
    proven_mm : float
        Lower bound that holds between samples and for the voxel's size; never above `mm`.
    at_lps : (3,) float64 array
        The witness point: where it is smallest.
    centre_mm : float
        Distance to the witness point.
    terms : mapping of str to float
        What `proven_mm` takes off `centre_mm`: ``voxel_mm``, ``segmentation_margin_mm``, ``sampling_mm``.
    """

    mm: float
    proven_mm: float
    at_lps: NDArray[np.float64]
    centre_mm: float = float("nan")
    terms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PlacementError:
    """Breach probability of a clearance under the placement-error models."""

    navigated: float
    fluoroscopic: float


@dataclass(frozen=True, eq=False)
class Candidate:
    """One proposed implant.

    Attributes
    ----------
    grade : str
        ``green`` (smallest clearance >= 5 mm) or ``amber`` (3-5 mm).
    score : float
        0-1, the weighted sum of `terms`.
    terms : mapping of str to float
        Each term's own value, 0-1.
    implant_id, diameter_mm, length_mm
        The catalogue entry and its size.
    implant_entry_lps, implant_tip_lps, skin_entry_lps : (3,) float64 arrays
        Centres of the near and far end faces, and the point where the axis meets the skin
        (NaN where the skin is outside the scan).
    third : str
        ``superior``, ``middle``, ``inferior`` or ``unknown``: of the implant's centre.
    articular_share : float
        Share of the implant's axis within the articular zone.
    depth_from_bone_mm, depth_from_skin_mm : float
        Implant tip from the dorsal bone surface and from the skin along the axis.
    axial_to_sagittal_deg, cranial_tilt_deg : float
        Of the insertion direction in the pelvic frame.
    c_arm : mapping of view to (orbital_deg, tilt_deg)
        Patient prone.
    clearances : mapping of str to Clearance
        ``neural``, ``access_neural`` (cannula), ``ventral_cortex``, ``outer_iliac_cortex``, ``sciatic_notch``,
        ``anterior_margin`` (implant tip along the path) and ``instrument_stop`` (where instruments stop short of that
        margin; the witness is the stop itself).
    breach : PlacementError
        Probability of less than the floor to neural structures or cortex.
    safe_entry_radius_mm : float
        Entry may move this far, same direction, with every hard constraint kept.
    hu_shell_mean : float
        Mean HU in a 3 mm shell round the implant.
    binding : str
        The constraint with the least slack.
    """

    grade: str
    score: float
    terms: Mapping[str, float]
    implant_id: str
    diameter_mm: float
    length_mm: float
    implant_entry_lps: NDArray[np.float64]
    implant_tip_lps: NDArray[np.float64]
    skin_entry_lps: NDArray[np.float64]
    third: str
    articular_share: float
    depth_from_bone_mm: float
    depth_from_skin_mm: float
    axial_to_sagittal_deg: float
    cranial_tilt_deg: float
    c_arm: Mapping[str, tuple[float, float]]
    clearances: Mapping[str, Clearance]
    breach: PlacementError
    safe_entry_radius_mm: float
    hu_shell_mean: float
    binding: str


@dataclass(frozen=True, eq=False)
class SidePlan:
    """What is proposed for one side.

    Attributes
    ----------
    side : Side
        The patient's side.
    status : str
        ``planned``, ``unverified``, ``no-safe-path`` or ``not-planned``.
    reason : str
        One sentence; empty only for ``planned``.
    candidates : tuple of Candidate
        At most three, best first, distinct; empty unless ``planned`` or ``unverified``.
    rejected : mapping of str to int
        How many trial paths each constraint turned down.
    findings : tuple of Finding
        What the search adds.
    """

    side: Side
    status: str
    reason: str
    candidates: tuple[Candidate, ...]
    rejected: Mapping[str, int]
    findings: tuple[Finding, ...] = ()
