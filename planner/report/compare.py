"""Tables of what is planned beside the implant, for both reports."""

from __future__ import annotations

from collections.abc import Iterator

from planner.plan import BoneVolumesDocument, InjectionDocument, LateralDocument, SideDocument
from planner.report.contents import Table

__all__ = ["beside_pictures", "beside_tables", "injection_table", "lateral_table"]

NONE = "-"
"""Where one way in has no such figure."""


def beside_tables(entry: SideDocument) -> list[Table]:
    """Tables of the lateral comparison and of the injection; none unless they were asked for."""
    tables = [lateral_table(entry, entry.lateral)] if entry.lateral else []
    return [*tables, *([injection_table(entry.injection)] if entry.injection else [])]


def beside_pictures(entry: SideDocument) -> list[str]:
    """Name the figures that belong to these tables, without their side."""
    return [*(["compare"] if entry.lateral else []), *(["injection"] if entry.injection else [])]


def lateral_table(entry: SideDocument, lateral: LateralDocument) -> Table:
    """Posterior implant and lateral rods side by side: a column for all rods together, and one for each."""
    head = [
        "",
        "posterior implant",
        f"{len(lateral.rods)} lateral rods",
        *(f"rod {rod.number}" for rod in lateral.rods),
    ]
    title = "Lateral rods, for comparison"
    if not lateral.rods:
        return Table(
            title, [head[:3], ["", entry.candidates[0].implant.id if entry.candidates else NONE, lateral.reason]]
        )
    return Table(title, [head, *_rows(entry, lateral)])


def _rows(entry: SideDocument, lateral: LateralDocument) -> Iterator[list[str]]:
    best, rods = (entry.candidates[0] if entry.candidates else None), lateral.rods
    size = f"{best.implant.diameter_mm:g} x {best.implant.length_mm:g} mm" if best else NONE
    sizes = [f"{rod.implant.diameter_mm:g} x {rod.implant.length_mm:g} mm" for rod in rods]
    yield ["size", size, lateral.implant_id, *sizes]
    yield ["way", "within the joint", "across the joint", *(rod.level for rod in rods)]
    yield ["CPT class", (best.cpt if best else "") or NONE, lateral.cpt, *("" for _ in rods)]
    in_sacrum = [f"{rod.in_sacrum_mm:.0f} mm" for rod in rods]
    yield ["length in sacrum", NONE, f"{sum(rod.in_sacrum_mm for rod in rods):.0f} mm", *in_sacrum]
    yield [
        "length in ilium",
        NONE,
        f"{sum(rod.in_ilium_mm for rod in rods):.0f} mm",
        *(f"{rod.in_ilium_mm:.0f} mm" for rod in rods),
    ]
    bite = f"{best.bite_mm.sacrum:.1f} / {best.bite_mm.hip:.1f} mm" if best and best.bite_mm else NONE
    yield ["bite, sacrum / ilium", bite, NONE, *(NONE for _ in rods)]
    volumes = [_volumes(rod.bone_removed_mm3) for rod in rods]
    posterior, whole = _volumes(lateral.posterior_bone_removed_mm3), _volumes(lateral.bone_removed_mm3)
    yield ["bone removed, sacrum / ilium", posterior, whole, *volumes]
    for name, words in (
        ("neural", "canal and foramina (proven)"),
        ("ventral_cortex", "ventral cortex (proven)"),
        ("sciatic_notch", "sciatic notch (proven)"),
    ):
        cells = [
            (rod.clearance[name].mm, rod.clearance[name].proven_mm) if name in rod.clearance else None for rod in rods
        ]
        known = [cell for cell in cells if cell]
        least = (min(cell[0] for cell in known), min(cell[1] for cell in known)) if known else None
        own = (best.clearance[name].mm, best.clearance[name].proven_mm) if best and name in best.clearance else None
        yield [words, *(_bound(cell) for cell in (own, least, *cells))]
    gaps = ", ".join(f"{gap:.0f}" for gap in lateral.spacing_mm)
    yield ["spacing, cranial first", NONE, f"{gaps} mm", *("" for _ in rods)]
    yield ["to the joint's normal", NONE, "", *(f"{rod.joint_angle_deg:.0f}°" for rod in rods)]
    skin = [NONE if rod.depth_from_skin_mm is None else f"{rod.depth_from_skin_mm:.0f} mm" for rod in rods]
    own_skin = f"{best.depth_from_skin_mm:.0f} mm" if best and best.depth_from_skin_mm is not None else NONE
    yield ["tip below the skin", own_skin, "", *skin]


def _bound(cell: tuple[float, float] | None) -> str:
    return NONE if cell is None else f"{cell[0]:.1f} ({cell[1]:.1f}) mm"


def _volumes(volumes: BoneVolumesDocument | None) -> str:
    return NONE if volumes is None else f"{volumes.sacrum:.0f} / {volumes.hip:.0f} mm³"


def injection_table(needle: InjectionDocument) -> Table:
    """List the needle's path."""
    title = "Needle for a test injection"
    if needle.tip_lps_mm is None or needle.angles_deg is None or needle.c_arm is None:
        return Table(title, [["measure", "value"], ["no path", needle.reason]])
    skin, depth = needle.skin_entry_lps_mm, needle.depth_from_skin_mm
    rows = [
        ["needle", f"{needle.gauge} G, {needle.diameter_mm:g} mm"],
        ["entry", needle.entry],
        ["skin entry, LPS mm", "not in the scan" if skin is None else ", ".join(f"{value:.1f}" for value in skin)],
        ["tip, LPS mm", ", ".join(f"{value:.1f}" for value in needle.tip_lps_mm)],
        ["tip below skin / within joint", f"{NONE if depth is None else f'{depth:.0f}'} / {needle.in_joint_mm:.0f} mm"],
        [
            "to sagittal / cranial",
            f"{round(needle.angles_deg.axial_to_sagittal)}° / {round(needle.angles_deg.cranial_tilt):+}°",
        ],
        ["C-arm, orbital / tilt", f"{round(needle.c_arm.orbital_deg)}° / {round(needle.c_arm.tilt_deg)}°"],
    ]
    for name, words in (("neural", "canal and foramina (proven)"), ("bone", "bone on the way (proven)")):
        claim = needle.clearance[name]
        rows.append([words, f"{claim.mm:.1f} ({claim.proven_mm:.1f}) mm"])
    return Table(title, [["measure", "value"], *rows, *([["not verified", needle.reason]] if needle.reason else [])])
