"""Sensitivity and specificity of the findings on made scans with and without each: `script/evaluate findings`.

Six pelves, each in the same scenes: plain, and with one or two things to find, from slight to plain to see.
"""

from __future__ import annotations

import fnmatch
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from conditions import BASES, FINDING_BASES, Condition
from made_cases import LOOKS, scan_grid
from sources import Base, load_base

from planner.errors import SacroplanError
from planner.findings import Finding, Level
from planner.joint import Joint, extract_joint, side_difference_findings
from planner.joint.config import JointConfig
from planner.labels import Side
from planner.segmentation import (
    density_findings,
    dysmorphism_findings,
    find_bearings,
    load_shape_model,
    locate_pelvis,
    s1_trabecular_hu,
    segment_bones,
    thin,
    transition_findings,
)
from planner.volume import Volume
from sample_data import made_patient as patient
from sample_data.joint_variants import across_joint, recess_place, with_deep_crests, with_facets, with_spur
from sample_data.made_ct import CtLook, JointFill, MadeCt, render_ct

__all__ = ["CODES", "PELVES", "SCENES", "TUNED", "Scan", "found_in", "make_scan", "run_findings", "scans"]

CODES = (
    "ankylosis", "accessory-joint", "widening", "vacuum", "metal-near-joint", "joint-truncated",
    "transitional-vertebra", "dysmorphic-sacrum", "low-bone-density",
)  # fmt: skip
"""Findings that are counted."""

Expected = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Pelvis:
    """A pelvis of `conditions` and how it is scanned; ``plain``: how plain its findings are, 0-1."""

    key: str
    spacing_zyx_mm: tuple[float, float, float]
    look: str
    plain: float
    seed: int = 0


TUNED = (
    Pelvis("M", (1.25, 1.1, 1.1), "soft", 0.0),
    Pelvis("F", (1.5, 1.2, 1.2), "noisy", 0.2),
    Pelvis("A", (1.5, 1.2, 1.2), "soft", 0.4),
    Pelvis("B", (2.0, 1.1, 1.1), "soft", 0.6),
    Pelvis("C", (1.5, 1.1, 1.1), "bone", 0.8),
    Pelvis("D", (1.25, 1.2, 1.2), "loud", 1.0),
)
"""Pelves on which thresholds were settled: never measured. From findings that are barely there to plain ones."""

PELVES = (
    Pelvis("G", (1.25, 1.1, 1.1), "soft", 0.0, 1),
    Pelvis("H", (1.5, 1.2, 1.2), "noisy", 0.2, 1),
    Pelvis("I", (1.5, 1.2, 1.2), "soft", 0.4, 1),
    Pelvis("J", (2.0, 1.1, 1.1), "soft", 0.6, 1),
    Pelvis("K", (1.5, 1.1, 1.1), "bone", 0.8, 1),
    Pelvis("L", (1.25, 1.2, 1.2), "loud", 1.0, 1),
)
"""Pelves that are measured: other people, other noise."""


@dataclass(frozen=True)
class Scan:
    """What is made, what there is to find, the bridge's place and area, and the heights at which the scan ends."""

    base: Base
    look: CtLook
    view: str = "sacrum"
    expected: Expected = frozenset()
    bridge: tuple[tuple[float, float, float], float] | None = None
    cut: tuple[float, float] | None = None


RISE_MM = 5.0
"""How far S1 of a dysmorphic sacrum stands up."""

LOW_MM = 6.0
"""How much lower than usual the processes of a transitional vertebra reach, so that they meet every ala."""


def severity(low: float, high: float, pelvis: Pelvis) -> float:
    """Between a slight case and a plain one."""
    return low + (high - low) * pelvis.plain


def plain(base: Base, look: CtLook, pelvis: Pelvis) -> Scan:
    """Nothing to find."""
    return Scan(base, look, "pelvis")


def bridge_and_gas(base: Base, look: CtLook, pelvis: Pelvis) -> Scan:
    """Bone across the left joint, gas in the right one."""
    place, radius = _at(base, Side.LEFT, 0.55), severity(8.0, 14.0, pelvis)
    fills = (
        JointFill(Side.LEFT.hip, place, radius),
        JointFill(Side.RIGHT.hip, _at(base, Side.RIGHT, 0.5), severity(7.0, 14.0, pelvis), gas=True),
    )
    expected = frozenset({("ankylosis", "left"), ("vacuum", "right")})
    return Scan(base, replace(look, fills=fills), expected=expected, bridge=(place, float(np.pi * radius**2)))


def wide_and_transitional(base: Base, look: CtLook, pelvis: Pelvis) -> Scan:
    """Left joint torn open, and an L5 that has grown to the sacrum."""
    processes = patient.transitional_l5(base.places)
    rows = tuple((*row[:5], row[5] - LOW_MM, *row[6:]) for row in processes.rows)
    inlays = (replace(processes, rows=rows),)
    expected = frozenset({("widening", "left"), ("transitional-vertebra", "both")})
    wide = severity(4.4, 6.0, pelvis)
    return Scan(base, replace(look, min_gap_mm=(wide, 1.5), inlays=inlays), "upper", expected)


def accessory_and_spur(base: Base, look: CtLook, pelvis: Pelvis) -> Scan:
    """Give the left side an accessory joint and the right one an osteophyte behind the joint."""
    radius = severity(9.0, 14.0, pelvis)
    places = {side: recess_place(base.bones, base.places, side) for side in Side}
    bones = with_facets(base.bones, Side.LEFT, places[Side.LEFT], radius)
    bones = with_spur(bones, Side.RIGHT, places[Side.RIGHT], radius)
    expected = frozenset({("accessory-joint", "left"), ("accessory-joint", "right")})
    return Scan(replace(base, bones=bones), look, expected=expected)


def porotic(base: Base, look: CtLook, pelvis: Pelvis) -> Scan:
    """Few trabeculae."""
    return Scan(
        base,
        replace(look, trabecular_hu=severity(100.0, 60.0, pelvis)),
        expected=frozenset({("low-bone-density", "both")}),
    )


def screwed(base: Base, look: CtLook, pelvis: Pelvis) -> Scan:
    """Put a screw across the right joint."""
    inlays = (across_joint(base.places, Side.RIGHT, severity(1.2, 4.0, pelvis)),)
    expected = frozenset({("metal-near-joint", "right")})
    return Scan(base, replace(look, inlays=inlays, streaks=True), expected=expected)


def prosthesis(base: Base, look: CtLook, pelvis: Pelvis) -> Scan:
    """Metal that is not near a joint, and contrast medium in the vessels: nothing to find."""
    inlays = (patient.hip_prosthesis(base.places, Side.LEFT), patient.vessels(base.places, 180.0))
    return Scan(base, replace(look, inlays=inlays, streaks=True), "upper")


def dysmorphic(base: Base, look: CtLook, pelvis: Pelvis) -> Scan:
    """S1 up between the crests."""
    bones = with_deep_crests(base.bones, base.places, severity(0.6, 0.8, pelvis), RISE_MM)
    return Scan(replace(base, bones=bones), look, "pelvis", frozenset({("dysmorphic-sacrum", "both")}))


def cut_off(base: Base, look: CtLook, pelvis: Pelvis) -> Scan:
    """End the scan within the joints, at the top or at the bottom."""
    share = severity(0.1, 0.3, pelvis)
    heights = np.concatenate([base.places.joints[side][:, 2] for side in Side])
    from_below = pelvis.key in "MACGIK"
    level = float(np.quantile(heights, share if from_below else 1 - share))
    expected = frozenset({("joint-truncated", "left"), ("joint-truncated", "right")})
    cut = (level, np.inf) if from_below else (-np.inf, level)
    return Scan(base, look, expected=expected, cut=cut)


def _at(base: Base, side: Side, height: float) -> tuple[float, float, float]:
    x, y, z = map(float, base.places.joint_at(side, height))
    return x, y, z


SCENES: Mapping[str, Callable[[Base, CtLook, Pelvis], Scan]] = {
    "plain": plain,
    "bridge-gas": bridge_and_gas,
    "wide-transitional": wide_and_transitional,
    "accessory-spur": accessory_and_spur,
    "porotic": porotic,
    "screw": screwed,
    "prosthesis": prosthesis,
    "dysmorphic": dysmorphic,
    "cut": cut_off,
}
"""What is made of each pelvis."""


def make_scan(scan: Scan, pelvis: Pelvis) -> MadeCt:
    """Render the scan."""
    condition = Condition("findings", "findings", pelvis.key, spacing=pelvis.spacing_zyx_mm, view=scan.view)
    grid = scan_grid(condition, scan.base.bones, scan.base.places.centre, np.eye(3))
    if scan.cut is not None:
        heights = grid.to_lps(np.arange(grid.shape_zyx[0])[:, None] * np.array([1, 0, 0]))[:, 2]
        kept = np.flatnonzero((heights > scan.cut[0]) & (heights < scan.cut[1]))
        rows, columns = (slice(0, n) for n in grid.shape_zyx[1:])
        grid = grid.crop((slice(int(kept[0]), int(kept[-1]) + 1), rows, columns))
    return render_ct(scan.base.bones, grid, scan.look)


def found_in(volume: Volume, model: Path | None) -> tuple[list[Finding], dict[Side, Joint]]:
    """Run the stages that the findings come from."""
    shapes = load_shape_model(model) if model else load_shape_model()
    bones = segment_bones(volume, locate_pelvis(thin(volume), shapes), shapes)
    joints = {side: extract_joint(volume, bones, side, JointConfig()) for side in bones.planned_sides}
    bearings = find_bearings(volume, bones)
    s1_hu = s1_trabecular_hu(volume, bones.labels, bearings.endplate)
    findings = [
        *(f for joint in joints.values() for f in joint.findings),
        *side_difference_findings(joints),
        *transition_findings(bones),
        *dysmorphism_findings(bones, bearings.endplate),
        *density_findings(s1_hu),
    ]
    return findings, joints


def counts(finding: Finding) -> bool:
    """Whether a finding says that the thing is there; of low density only where osteoporosis is called likely.

    The made trabeculae are uneven: S1 of a healthy pelvis may well have the 140 HU that the milder note tells.
    """
    likely = finding.code != "low-bone-density" or finding.level is Level.WARN
    return finding.code in CODES and likely


def measure_scan(scene: str, pelvis: Pelvis, data: Path, bases: Path, model: Path | None) -> dict[str, Any]:
    """Make one scan, look for everything, and say what was there and what was found."""
    source, name = (BASES | FINDING_BASES)[pelvis.key]
    base = load_base(data, bases, source, name)
    scan = SCENES[scene](base, replace(LOOKS[pelvis.look], seed=pelvis.seed), pelvis)
    try:
        findings, joints = found_in(make_scan(scan, pelvis).volume, model)
    except SacroplanError as error:
        return {"scene": scene, "pelvis": pelvis.key, "expected": sorted(scan.expected), "refused": str(error)}
    told = sorted({(f.code, str(f.side)) for f in findings if counts(f)})
    return {
        "scene": scene,
        "pelvis": pelvis.key,
        "expected": sorted(scan.expected),
        "told": told,
        "messages": [f.message for f in findings if f.code in CODES],
        "areas_mm2": {side.value: round(joint.articular_area_mm2) for side, joint in joints.items()},
        "bridge": _bridge(scan, findings),
    }


def _bridge(scan: Scan, findings: Sequence[Finding]) -> dict[str, float] | None:
    """Compare a bridge's area and place, as told, with what was made."""
    told = [f.message for f in findings if f.code == "ankylosis" and f.side == "left"]
    if scan.bridge is None or not told:
        return None
    numbers = re.search(r"bridges (\d+) mm2.*\((-?\d+), (-?\d+), (-?\d+)\)", told[0])
    if numbers is None:
        raise ValueError(told[0])
    area, *place = map(float, numbers.groups())
    return {
        "made_mm2": round(scan.bridge[1]),
        "told_mm2": area,
        "away_mm": round(float(np.linalg.norm(np.array(place) - scan.bridge[0])), 1),
    }


def scans() -> Iterator[tuple[str, Pelvis]]:
    """Every scene of every pelvis."""
    return ((scene, pelvis) for pelvis in PELVES for scene in SCENES)


def run_findings(
    folder: Path,
    patterns: Sequence[str],
    code: str,
    source: tuple[Path, Path, Callable[[str], Path | None]],
    *,
    again: bool,
) -> None:
    """Measure the scans that this code has no result of; `source`: data, folder of bases, shape model by pelvis."""
    folder.mkdir(parents=True, exist_ok=True)
    data, bases, model_of = source
    for scene, pelvis in scans():
        name = f"{scene}_{pelvis.key}"
        path = folder / f"{name}.json"
        if patterns and not any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
            continue
        if not again and path.is_file() and json.loads(path.read_text(encoding="utf-8"))["code"] == code:
            continue
        result = {"code": code} | measure_scan(scene, pelvis, data, bases, model_of(pelvis.key))
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(name, file=sys.stderr, flush=True)
