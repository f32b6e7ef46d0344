"""What is planned beside the implant: the lateral rods with the posterior implant, and the needle of an injection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from planner.figures.model import Cylinder, FigureCase, Prism
from planner.figures.page import Heading, Page
from planner.figures.panel import WINDOW_WORDS, draw_implant, draw_plane
from planner.figures.planes import Plane
from planner.figures.sections import across_joint
from planner.injection.model import InjectionPlan
from planner.labels import Label, Side
from planner.lateral.model import LateralPlan, Rod

__all__ = ["draw_compare", "draw_injection"]

PANEL_IN = 3.3
"""Width of a panel [P]."""

HALF_MM = 48.0
"""Half width of a panel [P]."""

BEYOND_MM = 8.0
"""The rods are cut so far beyond the joint, in the sacrum, where the foramina are near [P]."""

Vector = NDArray[np.float64]


def _drawn(rod: Rod) -> Cylinder:
    if rod.section_mm is None:
        return Cylinder(rod.entry_lps, rod.tip_lps, rod.diameter_mm / 2)
    return Prism(rod.entry_lps, rod.tip_lps, rod.diameter_mm / 2, rod.section_mm @ rod.across_lps)


def draw_compare(case: FigureCase, side: Side, plan: LateralPlan, folder: Path) -> Path:
    """Draw the lateral rods of a side, along each and across them all, and the posterior implant beside them."""
    panels = [*_panels(case, side, plan)]
    title = f"{side.value.capitalize()} side: lateral rods beside the posterior implant"
    page = Page(Heading(title, "", _words(plan)), (PANEL_IN,) * 3, PANEL_IN, rows=-(-len(panels) // 3))
    _legend(page, case, side)
    solids = [_drawn(rod) for rod in plan.rods]
    for axes, (caption, plane) in zip(page.axes, panels, strict=False):
        draw_plane(axes, case, plane, "")
        axes.set_title(caption, size=8, loc="left", pad=3)
        for solid in solids:
            draw_implant(axes, solid, plane)
    _hide(page.axes[len(panels) :])
    return page.save(folder / f"{side}_compare.png", f"{WINDOW_WORDS}. Rods: {plan.implant_id}, for comparison only.")


def _words(plan: LateralPlan) -> list[str]:
    if not plan.rods:
        return [f"No lateral rods are shown: {plan.reason}"]
    sizes = ", ".join(
        f"{rod.diameter_mm:g} x {rod.length_mm:g} mm ({rod.in_sacrum_mm:.0f} in the sacrum)" for rod in plan.rods
    )
    gaps = " and ".join(f"{gap:.0f}" for gap in plan.spacing_mm)
    removed = sum(rod.removed.sacrum_mm3 + rod.removed.hip_mm3 for rod in plan.rods)
    words = f"Rods, cranial first: {sizes}; {gaps} mm apart. Bone removed {removed / 1000:.1f} ml"
    if plan.posterior_removed:
        posterior = plan.posterior_removed.sacrum_mm3 + plan.posterior_removed.hip_mm3
        words += f", by the posterior implant {posterior / 1000:.1f} ml"
    return [f"{words}.", *([f"Not verified: {plan.reason}"] if plan.reason else [])]


def _panels(case: FigureCase, side: Side, plan: LateralPlan) -> Iterator[tuple[str, Plane]]:
    """Planes along each rod, across all of them, and along the posterior implant."""
    frame, half = case.bones.frame, (HALF_MM, HALF_MM)
    if plan.rods:
        way = (plan.rods[0].tip_lps - plan.rods[0].entry_lps) / plan.rods[0].length_mm
        right = way * np.sign(way @ frame.left_lps)
        up = _square_to(-frame.posterior_lps, right)
        for number, rod in enumerate(plan.rods, start=1):
            level = "" if rod.level == "unknown" else f", {rod.level}"
            yield f"axial along rod {number}{level}", Plane(rod.crossing_lps, right, up, half)
        crossings = [rod.crossing_lps for rod in plan.rods]
        row = crossings[0] - crossings[-1] if len(crossings) > 1 else frame.cranial_lps
        ends = Plane(0.5 * (crossings[0] + crossings[-1]), right, _square_to(row, right), half)
        yield "coronal through the first and the last rod", ends
        back = _square_to(frame.posterior_lps, right)  # seen from the left on either side
        across = Plane(np.mean(crossings, axis=0) + BEYOND_MM * way, back, np.cross(right, back), half)
        yield f"across the rods, {BEYOND_MM:g} mm beyond the joint", across
    implant = case.implants().get(side)
    if implant is not None:
        yield (
            "posterior implant, across the joint",
            Plane(implant.centre_lps, across_joint(case, side, implant), implant.axis_lps, half),
        )


def _square_to(vector: Vector, axis: Vector) -> Vector:
    """Turn a vector the least that makes it square to a unit axis; of length 1."""
    flat = vector - (vector @ axis) * axis
    return np.asarray(flat / np.linalg.norm(flat))


def draw_injection(case: FigureCase, side: Side, plan: InjectionPlan, folder: Path) -> Path:
    """Draw the needle of an injection in the two planes that hold it, and across it at its tip."""
    needle = Cylinder(_outer(plan), plan.tip_lps, max(plan.diameter_mm, 1.0) / 2)  # thinner would not be seen
    frame, way = case.bones.frame, needle.axis_lps
    up = _square_to(frame.cranial_lps, way)
    right = np.cross(way, up)
    right *= np.sign(right @ frame.left_lps)
    half, middle = (HALF_MM, HALF_MM), plan.tip_lps - 0.6 * HALF_MM * way
    planes = {
        "axial along the needle": Plane(middle, right, way, half),
        "sagittal along the needle": Plane(middle, -way, up, half),
        "across, at the tip": Plane(plan.tip_lps - 0.5 * way, right, up, half),
    }
    skin = (
        "the skin is not in the scan"
        if np.isnan(plan.depth_from_skin_mm)
        else f"{plan.depth_from_skin_mm:.0f} mm from the skin"
    )
    told = (
        f"{plan.gauge} G, {plan.entry} entry: tip {plan.in_joint_mm:.0f} mm within the joint, {skin}; "
        f"{round(plan.axial_to_sagittal_deg)} deg to the sagittal plane, {round(plan.cranial_tilt_deg):+} deg cranial; "
        f"canal and foramina {plan.clearances['neural'].mm:.1f} mm away."
    )
    lines = [told, *([f"Not verified: {plan.reason}"] if plan.reason else [])]
    page = Page(
        Heading(f"{side.value.capitalize()} side: needle for a test injection", "", lines), (PANEL_IN,) * 3, PANEL_IN
    )
    _legend(page, case, side)
    bare = _without_plans(case)
    for axes, (caption, plane) in zip(page.axes, planes.items(), strict=True):
        draw_plane(axes, bare, plane, "")
        axes.set_title(caption, size=8, loc="left", pad=3)
        draw_implant(axes, needle, plane)
    return page.save(folder / f"{side}_injection.png", f"{WINDOW_WORDS}. The needle is drawn 1 mm thick.")


def _outer(plan: InjectionPlan) -> Vector:
    if np.isfinite(plan.skin_lps).all():
        return plan.skin_lps
    way = (plan.tip_lps - plan.edge_lps) / np.linalg.norm(plan.tip_lps - plan.edge_lps)
    return np.asarray(plan.tip_lps - 2 * HALF_MM * way)


def _without_plans(case: FigureCase) -> FigureCase:
    """Copy the case without implants: the needle is another day's."""
    return FigureCase(case.volume, case.bones, case.joints, case.keepouts, {}, {}, case.fluoroscopy, case.endplate)


def _legend(page: Page, case: FigureCase, side: Side) -> None:
    present = set(np.unique(case.bones.labels.values[::4, ::4, ::4]).tolist())
    bones = [bone for bone in (Label.SACRUM, side.hip, Label.LUMBAR) if bone in present]
    page.legend(bones, ["articular", "ligamentous", "keepout", "implant"])


def _hide(axes: list[Axes]) -> None:
    for one in axes:
        one.set_axis_off()
