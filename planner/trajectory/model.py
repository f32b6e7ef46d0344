"""Values that the trajectory stage gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from planner.findings import Finding
from planner.outcome import Outcome

__all__ = ["Candidate", "Clearance", "Give", "NoPath", "PlacementError", "SidePlan", "ThirdBest"]


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
    """Breach probability under the placement-error models, with the standard error of its estimate."""

    navigated: float
    fluoroscopic: float
    navigated_se: float = 0.0
    fluoroscopic_se: float = 0.0


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
        ``neural``, ``access_neural`` (cannula), ``distractor_neural``, ``pin_neural``, ``ventral_cortex``,
        ``outer_iliac_cortex``, ``soft``, ``sciatic_notch``, ``anterior_margin`` (implant tip along the path) and
        ``instrument_stop`` (where instruments stop short of that margin; the witness is the stop itself).
    breach : PlacementError
        Probability of less than the floor to neural structures or cortex.
    safe_entry_radius_mm : float
        Entry may move this far, same direction, with every hard constraint kept.
    hu_shell_mean : float
        Mean HU in a 3 mm shell round the implant.
    binding : str
        The constraint with the least slack.
    binding_slack_mm : float
        That slack; of an angle, the shift of a 20 mm implant's tip.
    why : str
        A sentence: what this candidate has over the others, what binds it and what costs it most.
    weights : mapping of str to float
        Of the terms in the score.
    bite_mm : (sacrum, hip bone)
        How deep it reaches into each bone.
    scan_axial_to_sagittal_deg, scan_cranial_tilt_deg : float
        Insertion direction in the scanner's planes.
    skin_from_midline_mm : float
        From the pelvis's median plane to the skin entry, to lateral; NaN without skin.
    skin_from_psis_mm : (lateral, posterior, cranial)
        From the PSIS to the skin entry, in the pelvic frame; NaN where either is unknown.
    hu_path : tuple of float
        HU on the axis every `HU_STEP_MM` from the joint's dorsal mouth to the tip.
    cpt : str
        ``27278`` within the joint, ``27279`` across it.
    bone_removed_mm3 : float
        Bone within the implant's volume.
    section_mm : (k, 2) float64 array or None
        Cross-section that is not round, mm, in `across_lps`; None for a circle.
    across_lps : (2, 3) float64 array
        Unit vectors across the axis: along the joint, and out of it.
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
    binding_slack_mm: float = 0.0
    why: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    bite_mm: tuple[float, float] = (0.0, 0.0)
    scan_axial_to_sagittal_deg: float = float("nan")
    scan_cranial_tilt_deg: float = float("nan")
    skin_from_midline_mm: float = float("nan")
    skin_from_psis_mm: tuple[float, float, float] = (float("nan"),) * 3
    hu_path: tuple[float, ...] = ()
    cpt: str = ""
    bone_removed_mm3: float = float("nan")
    section_mm: NDArray[np.float64] | None = None
    across_lps: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Give:
    """One thing that would have to give for a path to exist, all else kept.

    Attributes
    ----------
    constraint : str
        One of `planner.trajectory.kernel.CONSTRAINTS`, or ``implant-size``.
    words : str
        For example ``a neural margin of 2.4 mm instead of 3``.
    value : tuple of float
        The limit that suffices, or diameter and length.
    """

    constraint: str
    words: str
    value: tuple[float, ...]


@dataclass(frozen=True)
class NoPath:
    """Why there is no safe path.

    Attributes
    ----------
    binding : str
        The constraint that alone stops the most trials; that of an instrument where one alone stops any, for there the
        implant would fit; empty where every trial breaks two or more.
    reached_mm : float or None
        What the best of those trials reaches of it (of an angle or a place: by how much it falls short, negative).
    limit_mm : float or None
        What it asks for.
    implant_id, diameter_mm, length_mm
        Catalogue entry, and size of the nearest path.
    broken : mapping of str to float
        Constraints that the nearest path breaks, and by how much, mm.
    neural_mm : float or None
        Its clearance to neural structures.
    gives : tuple of Give
        What would each alone let a path through; empty if nothing tried does.
    """

    binding: str
    reached_mm: float | None
    limit_mm: float | None
    implant_id: str
    diameter_mm: float
    length_mm: float
    broken: Mapping[str, float]
    neural_mm: float | None
    gives: tuple[Give, ...]


@dataclass(frozen=True)
class ThirdBest:
    """The best path of one third, for comparison.

    Attributes
    ----------
    fits : bool
        Whether it keeps every constraint but that on the third.
    articular_share, score, clearance_mm, gap_mm
        Of that path; the last is the median gap of the articular joint in that third.
    """

    fits: bool
    articular_share: float
    score: float
    clearance_mm: float
    gap_mm: float


@dataclass(frozen=True, eq=False)
class SidePlan(Outcome):
    """What is proposed for one side.

    Attributes
    ----------
    candidates : tuple of Candidate
        At most three, best first, distinct; empty unless ``planned`` or ``unverified``.
    rejected : mapping of str to int
        How many trial paths each constraint turned down.
    findings : tuple of Finding
        What the search adds.
    no_path : NoPath, optional
        With ``no-safe-path``.
    thirds_compared : mapping of str to ThirdBest
        ``middle`` and ``inferior``: the tension between deep recess and vessels; only the first is ever proposed.
    """

    candidates: tuple[Candidate, ...]
    rejected: Mapping[str, int]
    findings: tuple[Finding, ...] = ()
    no_path: NoPath | None = None
    thirds_compared: Mapping[str, ThirdBest] = field(default_factory=dict)
