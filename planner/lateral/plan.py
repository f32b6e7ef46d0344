"""Plan the lateral rods of one side: search, exact measure, and the answer when they do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner.errors import ImplantError
from planner.implants import HOW_TO_ADD, Implant, load_catalogue
from planner.joint.model import Joint
from planner.lateral.config import LateralConfig
from planner.lateral.corridor import Corridor, make_corridor
from planner.lateral.measure import Measured, bone_within, measure
from planner.lateral.model import BoneVolumes, LateralPlan
from planner.lateral.search import COARSE, FINE, Bundle, best_bundle, what_stops
from planner.trajectory.approach import c_arm_down
from planner.trajectory.config import TrajectoryConfig
from planner.trajectory.exact import Cylinder, Prism
from planner.trajectory.model import Candidate
from planner.trajectory.plan import NOTHING_NEURAL
from planner.trajectory.section import SECTION_OF
from planner.trajectory.task import Anatomy

__all__ = ["lateral_implant", "plan_lateral"]

GUARDS = 3
"""Times that the search is tried, each holding back more, before the exact measure's limit counts as broken."""

GUARD_MM = 0.4
"""Held back more each time, for what the coarse voxels hide."""

Points = NDArray[np.float64]


def plan_lateral(
    anatomy: Anatomy,
    implant: Implant,
    config: LateralConfig,
    trajectory: TrajectoryConfig,
    posterior: Candidate | None = None,
) -> LateralPlan:
    """Plan parallel rods from the side, for comparison with the posterior implant.

    Parameters
    ----------
    anatomy : Anatomy
        Of the side.
    implant : Implant
        A lateral implant; its count is how many rods there are, the thicker ones are tried first.
    config : LateralConfig
        The approach.
    trajectory : TrajectoryConfig
        Limits that both approaches share.
    posterior : Candidate, optional
        The first posterior candidate, whose bone is counted in the same way.

    Raises
    ------
    planner.errors.ImplantError
        If the implant is no lateral one with known sizes.
    """
    diameters, lengths = _sizes(implant, config)
    removed = None if posterior is None else bone_within(anatomy, _solid_of(posterior), anatomy.joint.side)
    reason = _cannot_plan(anatomy.joint)
    if reason:
        return LateralPlan(anatomy.joint.side, "not-planned", reason, implant.id, posterior_removed=removed)
    corridor = make_corridor(anatomy, implant, config, trajectory)
    if not len(corridor.task.region.structures["neural"].points_lps):
        return LateralPlan(anatomy.joint.side, "not-planned", NOTHING_NEURAL, implant.id, posterior_removed=removed)
    count, binding, fitting = implant.count or 1, "", 0
    for diameter in sorted(diameters, reverse=True):
        bundle, measured = _fit(anatomy, corridor, diameter, count, lengths)
        if bundle is not None and measured.rods:
            return _planned(anatomy, corridor, bundle, measured, removed)
        binding = measured.binding
        if bundle is None:
            _, trials = best_bundle(corridor, diameter, count, FINE)
            binding, fitting = what_stops(corridor, trials, diameter)
    words = (
        f"No {count} rods fit; {binding or 'every trial breaks two constraints or more and none alone'} "
        f"binds. At most {fitting} of {min(diameters):g} mm fit together."
    )
    return LateralPlan(
        side=anatomy.joint.side,
        status="no-safe-path",
        reason=words,
        implant_id=implant.id,
        binding=binding,
        fitting=fitting,
        posterior_removed=removed,
    )


def lateral_implant(catalogue: Path | None, config: LateralConfig) -> Implant:
    """Find the implant to compare with, checked to be one that can be planned with.

    Raises
    ------
    planner.errors.ImplantError
        If there is none, or it is no lateral one with known sizes.
    """
    implant = load_catalogue(catalogue).find(config.implant)
    _sizes(implant, config)
    return implant


def _sizes(implant: Implant, config: LateralConfig) -> tuple[tuple[float, ...], Points]:
    """Diameters, and lengths in steps where the catalogue gives the smallest and the largest."""
    if implant.approach != "lateral" or implant.shape not in SECTION_OF or not implant.diameters_mm:
        raise ImplantError(f"{implant.id}: no lateral implant with known sizes.", HOW_TO_ADD)
    if implant.diameters_are_range or not implant.lengths_mm:
        raise ImplantError(f"{implant.id}: its diameters or lengths are not listed.", HOW_TO_ADD)
    if not implant.lengths_are_range:
        return implant.diameters_mm, np.array(sorted(implant.lengths_mm))
    least, most = min(implant.lengths_mm), max(implant.lengths_mm)
    return implant.diameters_mm, np.arange(least, most + 1e-9, config.length_step_mm)


def _cannot_plan(joint: Joint) -> str:
    return "" if joint.thirds.known else "The scan cuts the joint off, so rods through it cannot be placed."


def _fit(
    anatomy: Anatomy, corridor: Corridor, diameter_mm: float, count: int, lengths_mm: Points
) -> tuple[Bundle | None, Measured]:
    """Best bundle that the exact measure keeps too; the search holds back more each time that it does not."""
    guard = corridor.task.config.search.guard_mm
    rounds = [(COARSE, guard + number * GUARD_MM) for number in range(GUARDS)]
    bundle, measured = _first_kept(anatomy, corridor, rounds, diameter_mm, count, lengths_mm)
    if bundle is None:  # what is held back may be all the room there is: the exact measure decides
        return _first_kept(anatomy, corridor, [(FINE, 0.0), (FINE, 0.5 * guard)], diameter_mm, count, lengths_mm)
    return bundle, measured


def _first_kept(
    anatomy: Anatomy,
    corridor: Corridor,
    rounds: Sequence[tuple[tuple[float, float], float]],
    diameter_mm: float,
    count: int,
    lengths_mm: Points,
) -> tuple[Bundle | None, Measured]:
    """Search on a lattice with a guard held back, in turn, until the exact measure keeps what is found."""
    bundle, measured = None, Measured((), "")
    for lattice, guard_mm in rounds:
        bundle, _ = best_bundle(corridor.guarded(guard_mm), diameter_mm, count, lattice)
        if bundle is None or bundle.score < 0:
            return None, measured
        measured = measure(anatomy, corridor, bundle, diameter_mm, lengths_mm)
        if measured.rods:
            break
    return bundle, measured


def _planned(
    anatomy: Anatomy, corridor: Corridor, bundle: Bundle, measured: Measured, removed: BoneVolumes | None
) -> LateralPlan:
    way = bundle.rods.directions[0]
    flat = bundle.rods.crossings - (bundle.rods.crossings @ way)[:, None] * way
    reason = _unverified(anatomy, corridor)
    return LateralPlan(
        side=anatomy.joint.side,
        status="unverified" if reason else "planned",
        reason=reason,
        implant_id=corridor.task.implant.id,
        rods=measured.rods,
        spacing_mm=tuple(float(gap) for gap in np.linalg.norm(np.diff(flat, axis=0), axis=1)),
        to_anterior_deg=bundle.angles_deg[0],
        cranial_tilt_deg=bundle.angles_deg[1],
        c_arm=c_arm_down(way, anatomy.bones.frame),
        score=bundle.score,
        binding=measured.binding,
        fitting=len(measured.rods),
        posterior_removed=removed,
    )


def _unverified(anatomy: Anatomy, corridor: Corridor) -> str:
    missing = anatomy.keepouts.missing(anatomy.joint.side)
    if missing:
        return f"Foramina that should be there were not found: {', '.join(missing)}."
    if np.isnan(corridor.task.scene.part("notch")).any():
        return "The greater sciatic notch is not known, so its clearance is not checked."
    return ""


def _solid_of(candidate: Candidate) -> Cylinder:
    ends = candidate.implant_entry_lps, candidate.implant_tip_lps
    if candidate.section_mm is None or candidate.across_lps is None:
        return Cylinder(*ends, 0.5 * candidate.diameter_mm)
    radius = float(np.linalg.norm(candidate.section_mm, axis=1).max())
    return Prism(*ends, radius, candidate.section_mm, candidate.across_lps)
