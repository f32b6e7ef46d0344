"""What the report says, as words and tables: one source for paper and screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from planner.plan import CandidateDocument, FluoroscopyDocument, PlanDocument, SideDocument

__all__ = [
    "CHECKLIST",
    "LEVELS",
    "STATES",
    "Table",
    "Tone",
    "c_arm_table",
    "candidate_table",
    "clearance_table",
    "finding_rows",
    "glance_table",
    "joint_table",
    "reasons",
    "safe_zone_words",
    "settings_table",
    "side_tone",
    "side_words",
]


@dataclass(frozen=True)
class Tone:
    """A word and its colours: the word alone is enough in black and white."""

    word: str
    ink: str
    paper: str


LEVELS: Mapping[str, Tone] = {
    "refuse": Tone("REFUSED", "#FFFFFF", "#A4133C"),
    "review-only": Tone("REVIEW ONLY", "#FFFFFF", "#C05600"),
    "warn": Tone("WARNING", "#1A1A1A", "#FFD166"),
    "note": Tone("note", "#1A1A1A", "#E5E7EB"),
}
"""Levels of findings, worst first."""

STATES: Mapping[str, Tone] = {
    "green": Tone("PLAN PROPOSED, GREEN: every clearance at least 5 mm", "#FFFFFF", "#00704F"),
    "amber": Tone("PLAN PROPOSED, AMBER: smallest clearance 3 to 5 mm", "#1A1A1A", "#FFD166"),
    "unverified": Tone("NOT VERIFIED: do not use without checking what is missing", "#FFFFFF", "#C05600"),
    "no-safe-path": Tone("NO SAFE PATH", "#FFFFFF", "#A4133C"),
    "not-planned": Tone("NOT PLANNED", "#1A1A1A", "#E5E7EB"),
}
"""States of a side."""

CHECKLIST = (
    "Right patient, right scan, right date, right side; letters on the pictures agree with the scan.",
    "The joint is the source of the pain: this software knows nothing of complaints, examination or test injections.",
    "No fracture, tumour, infection or inflammatory disease of sacrum and iliac bones: none of these is looked for.",
    "Vessels and nerves in front of and above the joint (iliac vessels, lumbosacral trunk, superior gluteal artery): "
    "in a scan without contrast they are not seen, and no distance to them is claimed.",
    "Outlines of bones, foramina and canal lie on the bone in every picture; the joint line lies in the joint.",
    "Bone quality: HU values of this scanner and protocol, contrast in the veins, bone density if known.",
    "Earlier operations, metal and its streaks, bridges of bone across the joint, accessory joints.",
    "Implant and instruments: sizes as in the maker's own guide; a placeholder of the catalogue is no device.",
    "Position on the table: C-arm angles count from the AP view of this pelvis; check them on the first picture.",
    "Breach probabilities rest on published placement errors of others, not on this operator and this room.",
)
"""What software cannot see."""

CLEARANCES = {
    "neural": "canal and foramina",
    "access_neural": "cannula: canal and foramina",
    "distractor_neural": "distractor: canal, foramina",
    "pin_neural": "pin: canal, foramina",
    "ventral_cortex": "ventral sacral cortex",
    "outer_iliac_cortex": "outer iliac cortex",
    "soft": "soft tissue in front",
    "sciatic_notch": "greater sciatic notch",
    "anterior_margin": "anterior margin, ahead of tip",
    "instrument_stop": "the same, where tools stop",
}
"""Names of clearances, in order; others follow under their own."""

VIEWS = {
    "ap": "AP",
    "inlet": "inlet",
    "outlet": "outlet",
    "lateral": "true lateral",
    "joint": "joint view",
    "down_the_implant": "down the implant",
}
"""Names of C-arm views, in order."""


@dataclass(frozen=True)
class Table:
    """Rows of words under a title; the first row is the head."""

    title: str
    rows: Sequence[Sequence[str]]


def side_tone(entry: SideDocument) -> Tone:
    """Colour and words of a side's state."""
    return STATES[entry.candidates[0].grade if entry.status == "planned" else entry.status]


def side_words(entry: SideDocument) -> list[str]:
    """Sentences that a reader needs before the numbers."""
    return [*reasons(entry), *([_tension(entry)] if entry.thirds_compared else [])]


def reasons(entry: SideDocument) -> list[str]:
    """Say why a side is planned as it is, or not."""
    words = [entry.reason, entry.candidates[0].why if entry.candidates else ""]
    if entry.no_path and entry.no_path.would_have_to_give:
        gives = "; or ".join(give.words for give in entry.no_path.would_have_to_give)
        words.append(f"What would have to give, each alone: {gives}.")
    return [word for word in words if word]


def _tension(entry: SideDocument) -> str:
    parts = (
        f"{name} third: {'a path fits' if third.fits else 'no path fits'}, {third.articular_share:.0%} of the implant "
        f"in the articular zone, smallest clearance {third.clearance_mm:.1f} mm"
        for name, third in entry.thirds_compared.items()
    )
    return f"Middle against caudal: {'; '.join(parts)}. The caudal joint has the closest bones but the most vessels."


def finding_rows(document: PlanDocument) -> list[tuple[Tone, str, str]]:
    """Level, side and message of every finding, worst first."""
    order = list(LEVELS)
    ranked = sorted(document.findings, key=lambda finding: order.index(finding.level))
    return [(LEVELS[finding.level], finding.side, finding.message) for finding in ranked]


def glance_table(entry: SideDocument) -> list[tuple[str, str]]:
    """Tell what is proposed for a side in the few numbers that a decision starts from; empty where nothing is."""
    if not entry.candidates:
        return []
    best = entry.candidates[0]
    implant, angles, near = best.implant, best.angles_deg, best.clearance.get("neural")
    skin = "" if best.depth_from_skin_mm is None else f", {best.depth_from_skin_mm:.0f} mm from skin"
    return [
        ("implant", f"{implant.id} {implant.diameter_mm:g} x {implant.length_mm:g} mm"),
        ("place", f"{best.third} third, {best.articular_share:.0%} articular"),
        *([("canal and foramina", f"{near.mm:.1f} mm, proven {near.proven_mm:.1f}")] if near else []),
        ("to sagittal / cranial", f"{angles.axial_to_sagittal:.0f}° / {round(angles.cranial_tilt):+}°"),
        ("tip", f"{best.depth_from_bone_mm:.0f} mm from bone{skin}"),
        ("candidates", ", ".join(f"{one.rank}: {one.grade}, {one.score:.2f}" for one in entry.candidates)),
    ]


def candidate_table(entry: SideDocument) -> Table:
    """Put the candidates side by side, a column each."""
    columns = [dict(_measures(candidate)) for candidate in entry.candidates]
    names = list(dict.fromkeys(name for column in columns for name in column))
    head = ["", *(f"candidate {candidate.rank}" for candidate in entry.candidates)]
    return Table("Candidates, best first", [head, *([name, *(c.get(name, "-") for c in columns)] for name in names)])


def _measures(candidate: CandidateDocument) -> Iterator[tuple[str, str]]:
    implant, angles, scan = candidate.implant, candidate.angles_deg, candidate.angles_in_scan_deg
    yield "grade, score", f"{candidate.grade}, {candidate.score:.2f}"
    yield "implant, mm", f"{implant.diameter_mm:g} x {implant.length_mm:g}, {implant.id}"
    yield "third, articular share", f"{candidate.third}, {candidate.articular_share:.0%}"
    yield "entry, LPS mm", _point(candidate.implant_entry_lps_mm)
    yield "tip, LPS mm", _point(candidate.implant_tip_lps_mm)
    yield (
        "skin entry, LPS mm",
        _point(candidate.skin_entry_lps_mm) if candidate.skin_entry_lps_mm else "not in the scan",
    )
    yield from _skin_place(candidate)
    yield "tip below bone / skin", f"{candidate.depth_from_bone_mm:.0f} / {_mm(candidate.depth_from_skin_mm)} mm"
    yield "to sagittal / cranial, pelvis", f"{angles.axial_to_sagittal:.0f}° / {round(angles.cranial_tilt):+}°"
    if scan:
        yield "to sagittal / cranial, scanner", f"{scan.axial_to_sagittal:.0f}° / {round(scan.cranial_tilt):+}°"
    neural = candidate.clearance.get("neural")
    if neural:
        yield "neural clearance (proven)", f"{neural.mm:.1f} ({neural.proven_mm:.1f}) mm"
    breach = candidate.breach_probability
    yield "breach, navigated / C-arm", f"{breach.navigated:.1%} / {breach.fluoroscopic:.1%}"
    yield "safe entry radius", f"{candidate.safe_entry_radius_mm:.1f} mm"
    if candidate.bite_mm:
        yield "bite, sacrum / ilium", f"{candidate.bite_mm.sacrum:.1f} / {candidate.bite_mm.hip:.1f} mm"
    yield "HU within 3 mm", f"{candidate.hu_shell_mean:.0f}"
    if candidate.cpt:
        crossing = "within the joint" if candidate.cpt == "27278" else "across the joint"
        yield "CPT class", f"{candidate.cpt}, {crossing}"
    yield "binds", candidate.binding


def _skin_place(candidate: CandidateDocument) -> Iterator[tuple[str, str]]:
    place = candidate.skin_place_mm
    if place:
        yield "skin entry from midline", f"{place.from_midline:.0f} mm"
    if place and place.lateral_of_psis is not None and place.cranial_of_psis is not None:
        yield (
            "skin entry from PSIS, mm",
            f"{_toward(place.lateral_of_psis, 'lateral', 'medial')}, "
            + _toward(place.cranial_of_psis, "cranial", "caudal"),
        )


def _toward(value_mm: float, positive: str, negative: str) -> str:
    return f"{abs(value_mm):.0f} {positive if value_mm >= 0 else negative}"


def clearance_table(candidate: CandidateDocument) -> Table:
    """Clearances of one candidate with their witness points."""
    names = [*(name for name in CLEARANCES if name in candidate.clearance), *sorted(candidate.clearance)]
    rows = [
        [CLEARANCES.get(name, name.replace("_", " ")), f"{c.mm:.1f}", f"{c.proven_mm:.1f}", _point(c.at_lps_mm)]
        for name, c in ((name, candidate.clearance[name]) for name in dict.fromkeys(names))
    ]
    head = ["to", "mm", "proven", "nearest point, LPS mm"]
    return Table(f"Clearances of candidate {candidate.rank}", [head, *rows])


def c_arm_table(card: FluoroscopyDocument) -> Table:
    """List the views with their angles and what these rest on."""
    rows = [
        [VIEWS[name], _turn(view.orbital_deg, "left", "right"), _turn(view.tilt_deg, "head", "feet"), view.basis]
        for name in VIEWS
        if (view := card.views.get(name))
    ]
    head = ["view", "orbital, detector to", "tilt, detector to", "rests on"]
    return Table("C-arm, patient prone, detector above the back", [head, *rows])


def _turn(degrees: float, positive: str, negative: str) -> str:
    whole = round(degrees)
    return f"{abs(whole)}° {positive if whole > 0 else negative}" if whole else "0°"


def safe_zone_words(card: FluoroscopyDocument) -> str:
    """Dall's measures in a sentence; empty where there are none."""
    zone = card.safe_zone
    if zone is None:
        return ""
    words = f"Safe zone (Dall): contained over {zone.height_mm:.0f} mm of axial levels."
    if zone.psis_to_margin_mm is not None:
        words += (
            f" PSIS to anterior joint margin {zone.psis_to_margin_mm:.0f} mm; safe depth {zone.safe_depth_mm:.0f} mm."
        )
    return words


def joint_table(entry: SideDocument) -> Table | None:
    """List the joint's measures; None where it was not found."""
    joint = entry.joint
    if joint is None:
        return None
    rows = [
        ["articular area", f"{joint.articular_area_mm2 / 100:.1f} cm²"],
        ["gap, median / 95 %", f"{_mm(joint.gap_median_mm, 1)} / {_mm(joint.gap_p95_mm, 1)} mm"],
        ["outlines: confidence, error", f"{_share(joint.confidence)}, {_mm(joint.outline_error_mm, 1)} mm"],
        ["cut off by the scan", "yes" if joint.truncated else "no"],
        ["thirds", joint.thirds.definition if joint.thirds.bounds_mm else "not known"],
        ["foramina found", ", ".join(sorted({f"{f.level} {f.aspect}" for f in entry.foramina})) or "none"],
    ]
    return Table("Joint", [["measure", "value"], *rows])


def settings_table(document: PlanDocument, versions: Mapping[str, str]) -> Table:
    """Say what made this plan."""
    scan, made = document.input, document.segmentation
    spacing = " x ".join(f"{step:g}" for step in scan.spacing_zyx_mm)
    rows = [
        ["scan", f"{' x '.join(map(str, scan.shape_zyx))} voxels of {spacing} mm"],
        ["scan's content, SHA-256", scan.sha256],
        ["bones labelled by", made.backend if made else "-"],
        ["S1 trabecular bone", "-" if document.s1_trabecular_hu is None else f"{document.s1_trabecular_hu:.0f} HU"],
        ["schema", document.schema_name],
        *([name, version] for name, version in versions.items()),
    ]
    return Table("Versions and settings", [["what", "value"], *rows])


def _point(point: Sequence[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in point)


def _mm(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
