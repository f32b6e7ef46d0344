"""The value that the injection gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from planner.outcome import Outcome
from planner.trajectory.model import Clearance

__all__ = ["InjectionPlan"]


def _nowhere() -> NDArray[np.float64]:
    return np.full(3, np.nan)


@dataclass(frozen=True, eq=False)
class InjectionPlan(Outcome):
    """A needle's path into one joint, or why there is none.

    Attributes
    ----------
    gauge : int
        Of the needle.
    diameter_mm : float
        Of the needle.
    entry : str
        ``posterior-inferior`` or ``middle``: third of the joint that the tip lies in.
    skin_lps, edge_lps, tip_lps : (3,) float64 arrays
        Where the needle meets the skin (NaN if the scan does not hold it), enters between the bones, and ends.
    in_joint_mm : float
        From the edge to the tip.
    depth_from_skin_mm : float
        Tip; NaN without skin.
    axial_to_sagittal_deg, cranial_tilt_deg : float
        Direction in the pelvis.
    c_arm : (orbital_deg, tilt_deg)
        View down the needle, for a patient lying prone.
    clearances : mapping of str to Clearance
        ``neural``, ``sciatic_notch``, ``soft``, and ``bone`` from the skin to the edge.
    off_mid_surface_mm, gap_mm : float
        Largest offset of the needle's axis from the mid-surface between edge and tip, and the least gap there.
    binding : str
        With ``no-safe-path``: the limit that turned down the most paths last.
    """

    gauge: int
    diameter_mm: float
    entry: str = ""
    skin_lps: NDArray[np.float64] = field(default_factory=_nowhere)
    edge_lps: NDArray[np.float64] = field(default_factory=_nowhere)
    tip_lps: NDArray[np.float64] = field(default_factory=_nowhere)
    in_joint_mm: float = float("nan")
    depth_from_skin_mm: float = float("nan")
    axial_to_sagittal_deg: float = float("nan")
    cranial_tilt_deg: float = float("nan")
    c_arm: tuple[float, float] = (float("nan"), float("nan"))
    clearances: Mapping[str, Clearance] = field(default_factory=dict)
    off_mid_surface_mm: float = float("nan")
    gap_mm: float = float("nan")
    binding: str = ""
