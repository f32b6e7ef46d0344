"""3D Slicer markups of a plan: lines, points and planes, from ``plan.json`` alone.

Format: Slicer's markups schema 1.0.3 and what its storage nodes read. Everything is LPS mm. One markup a file, which is
what older versions of Slicer take.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner import NOTICE
from planner.plan import AnteriorPlaneDocument, CandidateDocument, EndplateDocument, PlanDocument, Point, SideDocument

__all__ = ["plan_markups", "write_markups"]

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
"""Name of the format; Slicer refuses a file without it."""

COLOURS = {
    "green": (0.0, 0.62, 0.45), "amber": (0.9, 0.62, 0.0), "access": (0.34, 0.71, 0.91), "nerve": (0.84, 0.37, 0.0),
    "landmark": (0.94, 0.89, 0.26), "plane": (0.8, 0.47, 0.65),
}  # fmt: skip
"""Okabe and Ito's palette."""

PLANE_MM = 80.0
"""Width of a plane that is drawn: about that of a sacrum [P]."""

TURNED = (-1.0, -1.0, 1.0, 1.0)
"""Slicer stores its planes' ``objectToBase`` as if it led to LPS; this diagonal is its identity."""

Markup = dict[str, Any]


def write_markups(folder: Path, document: PlanDocument) -> list[Path]:
    """Write every markup of a plan as ``NAME.mrk.json``; the same plan gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(folder / f"{name}.mrk.json", markup) for name, markup in plan_markups(document).items()]


def plan_markups(document: PlanDocument) -> dict[str, Markup]:
    """Describe implants, accesses, foramina, witness points, thirds, landmarks and planes, by name.

    Returns
    -------
    dict
        For example ``left_implant_1``; each value is one markup of the schema.
    """
    found: dict[str, Markup] = {}
    for side, entry in document.sides.items():
        found |= {f"{side}_{name}": markup for name, markup in _side(entry)}
    found |= dict(_pelvis(document))
    return {name: {**markup, "name": name.replace("_", " ")} for name, markup in found.items()}


def _write(path: Path, markup: Markup) -> Path:
    path.write_text(json.dumps({"@schema": SCHEMA, "notice": NOTICE, "markups": [markup]}, indent=1) + "\n", "utf-8")
    return path


def _side(entry: SideDocument) -> Iterator[tuple[str, Markup]]:
    for candidate in entry.candidates:
        yield from _candidate(candidate)
    yield from _beside(entry)
    if entry.foramina:
        mouths = {f"{f.level} {f.aspect}": f.centre_lps_mm for f in entry.foramina}
        yield "foramina", _points(mouths, "nerve")
    if entry.joint and entry.joint.thirds.bounds_mm:
        middle = _middle(entry)
        axis = np.array(entry.joint.thirds.axis_lps)
        for name, bound in zip(("caudal", "cranial"), entry.joint.thirds.bounds_mm[1:3], strict=True):
            yield f"middle_third_{name}", _plane(middle + (bound - middle @ axis) * axis, axis)


def _beside(entry: SideDocument) -> Iterator[tuple[str, Markup]]:
    """Lateral rods and the needle of an injection, where they were planned."""
    for rod in entry.lateral.rods if entry.lateral else ():
        ends = {"rod entry": rod.implant_entry_lps_mm, "rod tip": rod.implant_tip_lps_mm}
        yield f"lateral_rod_{rod.number}", _line(ends, "access")
    needle = entry.injection
    if needle and needle.tip_lps_mm and needle.edge_lps_mm:
        outer = {"skin entry": needle.skin_entry_lps_mm} if needle.skin_entry_lps_mm else {"joint": needle.edge_lps_mm}
        yield "needle", _line({**outer, "needle tip": needle.tip_lps_mm}, "landmark")


def _middle(entry: SideDocument) -> NDArray[np.float64]:
    """Find a place at the joint for a plane's centre, which is for looks alone."""
    points = [c.implant_entry_lps_mm for c in entry.candidates] or [f.centre_lps_mm for f in entry.foramina]
    points = points or list(entry.landmarks.values()) or [(0.0, 0.0, 0.0)]
    middle: NDArray[np.float64] = np.mean(points, axis=0)
    return middle


def _candidate(candidate: CandidateDocument) -> Iterator[tuple[str, Markup]]:
    rank, entry = candidate.rank, candidate.implant_entry_lps_mm
    ends = {"implant entry": entry, "implant tip": candidate.implant_tip_lps_mm}
    yield f"implant_{rank}", _line(ends, candidate.grade)
    if candidate.skin_entry_lps_mm is not None:
        yield f"access_{rank}", _line({"skin entry": candidate.skin_entry_lps_mm, "implant entry": entry}, "access")
    witnesses = {f"{name}: {c.mm:.1f} mm": c.at_lps_mm for name, c in candidate.clearance.items()}
    if witnesses:
        yield f"witnesses_{rank}", _points(witnesses, "nerve")


def _pelvis(document: PlanDocument) -> Iterator[tuple[str, Markup]]:
    landmarks = dict(document.landmarks)
    for side, entry in document.sides.items():
        landmarks |= {f"{side}_{name}": point for name, point in entry.landmarks.items()}
    if landmarks:
        named = {name.removesuffix("_lps_mm").replace("_", " "): point for name, point in landmarks.items()}
        yield "landmarks", _points(named, "landmark")
    frame = document.pelvic_frame
    if frame is not None:
        places = {"s1_endplate": frame.s1_endplate, "anterior_pelvic_plane": frame.anterior_pelvic_plane}
        for name, place in places.items():
            if place is not None:
                yield name, _plane(np.array(_centre(place)), np.array(place.normal_lps))


def _centre(place: EndplateDocument | AnteriorPlaneDocument) -> Point:
    return place.centre_lps_mm if isinstance(place, EndplateDocument) else place.point_lps_mm


def _markup(kind: str, points: dict[str, Point], colour: str) -> Markup:
    return {
        "type": kind,
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": True,
        "labelFormat": "%N-%d",
        "controlPoints": [
            {"id": str(number), "label": label, "position": list(point), "positionStatus": "defined", "locked": True}
            for number, (label, point) in enumerate(points.items(), start=1)
        ],
        "display": {"visibility": True, "color": COLOURS[colour], "selectedColor": COLOURS[colour]},
    }


def _points(points: dict[str, Point], colour: str) -> Markup:
    return _markup("Fiducial", points, colour)


def _line(ends: dict[str, Point], colour: str) -> Markup:
    return _markup("Line", ends, colour)


def _plane(origin: NDArray[np.float64], normal: NDArray[np.float64]) -> Markup:
    """Lay a square plane through a point; its own axes are any two at right angles to the normal."""
    across = np.cross(np.eye(3)[np.abs(normal).argmin()], normal)
    across /= np.linalg.norm(across)
    axes = np.column_stack([across, np.cross(normal, across), normal])
    to_node = np.eye(4)
    to_node[:3, :3], to_node[:3, 3] = axes, origin
    x, y, z = origin.tolist()
    return _markup("Plane", {"origin": (x, y, z)}, "plane") | {
        "planeType": "pointNormal",
        "sizeMode": "absolute",
        "autoScalingSizeFactor": 1.0,
        "center": [x, y, z],
        "normal": normal.tolist(),
        "objectToBase": np.diag(TURNED).ravel().tolist(),
        "baseToNode": to_node.ravel().tolist(),
        "orientation": axes.ravel().tolist(),
        "size": [PLANE_MM, PLANE_MM, 0.0],
        "planeBounds": [-PLANE_MM / 2, PLANE_MM / 2, -PLANE_MM / 2, PLANE_MM / 2],
    }
