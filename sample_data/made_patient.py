"""What lies in and round a made pelvis besides its bones, placed by them: vessels, organs, metal, arms, cushions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.grid import Grid
from planner.labels import Label, Side
from sample_data.inlays import Inlay, InlayKind, Row
from sample_data.made_ct import METAL_HU, Cut
from sample_data.made_neighbours import find_head
from sample_data.signed_distance import DistanceField, sample_affine

__all__ = [
    "Places",
    "arms",
    "bladder",
    "body_above_and_below",
    "bowel",
    "calcified_vessels",
    "cushions",
    "find_places",
    "growth_plates",
    "hip_prosthesis",
    "spine_screws",
    "transitional_l5",
    "vessels",
]

Vector = NDArray[np.float64]

COARSE = 3
"""Joints are looked for on every third node of the sacrum's lattice [P]."""

ARTICULAR_GAP_MM = 4.5
"""Facing bones no further apart than this are the joint."""

CORTEX_HU, MARROW_HU = 900.0, 180.0
"""Of bones other than the pelvis."""


@dataclass(frozen=True, eq=False)
class Places:
    """Where things are, LPS mm.

    Attributes
    ----------
    joints : mapping of Side to (n, 3) array
        Points midway between the articular faces.
    heads : mapping of Side to (centre, radius)
        Femoral heads.
    low, high : (3,) arrays
        Box of the pelvis.
    """

    joints: Mapping[Side, Vector]
    heads: Mapping[Side, tuple[Vector, float]]
    low: Vector
    high: Vector

    @property
    def centre(self) -> Vector:
        """Midway between both joints."""
        middle: Vector = np.mean([self.joints[side].mean(axis=0) for side in Side], axis=0)
        return middle

    def joint_at(self, side: Side, height: float) -> Vector:
        """Point of a joint at a share of its height, 0 caudal, 1 cranial: the middle one there."""
        points = self.joints[side]
        level = np.quantile(points[:, 2], height)
        near = points[np.abs(points[:, 2] - level) < 3.0]
        place: Vector = near[np.linalg.norm(near - near.mean(axis=0), axis=1).argmin()]
        return place


def find_places(bones: Mapping[Label, DistanceField]) -> Places:
    """Find the places of a pelvis by its bones' distance fields."""
    sacrum = bones[Label.SACRUM]
    s = np.ascontiguousarray(sacrum.values_mm[::COARSE, ::COARSE, ::COARSE])
    step = sacrum.spacing_mm * COARSE
    grid = Grid.from_spacing((s.shape[0], s.shape[1], s.shape[2]), step, sacrum.origin_mm)
    joints = {}
    for side in Side:
        h = sample_affine(bones[side.hip], grid.lps_from_zyx, grid.shape_zyx)
        joints[side] = grid.to_lps(np.argwhere((np.abs(s - h) < step) & (s + h < ARTICULAR_GAP_MM)))
    hips = [bones[side.hip] for side in Side]
    low = np.min([hip.origin_mm for hip in hips], axis=0)
    high = np.max([hip.origin_mm + np.array(hip.values_mm.shape[::-1]) * hip.spacing_mm for hip in hips], axis=0)
    return Places(joints, {side: find_head(bones[side.hip]) for side in Side}, low, high)


def _chain(points: list[Vector], radii: list[float]) -> tuple[Row, ...]:
    return tuple(
        (*map(float, a), *map(float, b), r, q)  # type: ignore[misc]
        for a, b, r, q in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True)
    )


def _iliac_paths(places: Places) -> list[tuple[list[Vector], list[float]]]:
    """Aorta to groin, and the internal iliac branch before the joint, on both sides."""
    paths = []
    for side in Side:
        x = float(side.lateral_x)
        joint, head = places.joints[side].mean(axis=0), places.heads[side][0]
        front = places.centre[1] - 62.0
        top = np.array([0.0 * x, front - 8, places.centre[2] + 130.0])
        fork = np.array([2.0 * x, front - 5, places.centre[2] + 62.0])
        brim = np.array([0.55 * joint[0], joint[1] - 42.0, joint[2] + 18.0])
        groin = head + np.array([-6.0 * x, -34.0, 6.0])
        thigh = head + np.array([4.0 * x, -42.0, -110.0])
        paths.append(([top, fork, brim, groin, thigh], [8.0, 7.0, 5.5, 5.0, 4.5]))
        inner = joint + np.array([-16.0 * x, -30.0, -30.0])
        paths.append(([brim, inner, inner + np.array([4.0 * x, 14.0, -28.0])], [4.0, 3.5, 2.5]))
    return paths


def vessels(places: Places, hu: float) -> Inlay:
    """Aorta, iliac and femoral vessels of one CT number."""
    rows = [row for points, radii in _iliac_paths(places) for row in _chain(points, radii)]
    return Inlay(InlayKind.CONTRAST, tuple(rows), hu)


def calcified_vessels(places: Places) -> Inlay:
    """Plaques along the walls of the same vessels."""
    rows: list[Row] = []
    for points, radii in _iliac_paths(places):
        for a, b, radius in zip(points[:-1], points[1:], radii[:-1], strict=True):
            for n, share in enumerate((0.15, 0.4, 0.65, 0.9)):
                angle = 2.4 * n
                wall = radius * np.array([np.cos(angle), np.sin(angle), 0.0])
                start = a + share * (b - a) + wall
                end = a + (share + 0.12) * (b - a) + wall
                rows.append((*map(float, start), *map(float, end), 1.6, 1.2))  # type: ignore[arg-type]
    return Inlay(InlayKind.CALCIFICATION, tuple(rows), 900.0)


def bladder(places: Places, hu: float) -> Inlay:
    """Fill a bladder between the femoral heads."""
    middle = np.mean([places.heads[side][0] for side in Side], axis=0) + np.array([0.0, -12.0, 14.0])
    x, y, z = map(float, middle)
    return Inlay(InlayKind.CONTRAST, ((x - 18, y, z, x + 18, y, z, 34.0, 34.0),), hu)


def bowel(places: Places, hu: float) -> Inlay:
    """Loops before the sacrum and in the iliac fossae."""
    c = places.centre
    rows: list[Row] = []
    for n in range(14):
        a = c + np.array([70 * np.sin(2.1 * n), -85 - 14 * np.cos(1.3 * n), 60 - 9.0 * n])
        b = c + np.array([70 * np.sin(2.1 * n + 1.0), -85 - 14 * np.cos(1.3 * n + 1.0), 55 - 9.0 * n])
        rows.append((*map(float, a), *map(float, b), 11.0, 11.0))  # type: ignore[arg-type]
    c = c + np.array([4.0, -50.0, -40.0])
    rows.append((*map(float, c), *map(float, c + np.array([0.0, 8.0, -45.0])), 12.0, 10.0))  # type: ignore[arg-type]
    return Inlay(InlayKind.CONTRAST, tuple(rows), hu)


def hip_prosthesis(places: Places, side: Side) -> Inlay:
    """Head, neck and stem of a hip replacement."""
    (x, y, z), radius = places.heads[side]
    s = float(side.lateral_x)
    rows = (
        (x, y, z, x, y, z, radius + 1.0, radius + 1.0),
        (x, y, z, x + 38 * s, y + 7, z - 30, 6.0, 8.0),
        (x + 38 * s, y + 7, z - 30, x + 33 * s, y + 6, z - 100, 9.0, 6.0),
    )
    return Inlay(InlayKind.METAL, rows, METAL_HU, over_bone=True)


def spine_screws(places: Places) -> Inlay:
    """Pedicle screws of S1 with rods up to L5: an earlier lumbosacral fusion."""
    rows: list[Row] = []
    top = max(float(places.joints[side][:, 2].max()) for side in Side)
    for side in Side:
        s = float(side.lateral_x)
        back = np.array([24.0 * s, places.centre[1] + 22.0, top - 4.0])
        front = np.array([17.0 * s, places.centre[1] - 22.0, top - 12.0])
        rod = back + np.array([0.0, 6.0, 55.0])
        upper = rod + np.array([-6.0 * s, -45.0, 4.0])
        for a, b, radius in ((back, front, 3.25), (back, rod, 2.75), (rod, upper, 3.0)):
            rows.append((*map(float, a), *map(float, b), radius, radius))  # type: ignore[arg-type]
    return Inlay(InlayKind.METAL, tuple(rows), METAL_HU, over_bone=True)


def transitional_l5(places: Places) -> Inlay:
    """Broad transverse processes of L5 that reach down to the sacral ala on both sides (Castellvi II)."""
    rows: list[Row] = []
    top = max(float(places.joints[side][:, 2].max()) for side in Side)
    for side in Side:
        s = float(side.lateral_x)
        root = (22.0 * s, places.centre[1] - 8.0, top + 28.0)
        tip = (46.0 * s, places.centre[1] - 2.0, top + 13.0)
        rows.append((*root, *tip, 9.0, 10.0))
    return Inlay(InlayKind.OTHER_BONE, tuple(rows), CORTEX_HU, shell_mm=1.6, core_hu=MARROW_HU)


def _limb(start: Vector, end: Vector, flesh_mm: float, bone_mm: float) -> tuple[Inlay, Inlay]:
    flesh = _chain([start, end], [flesh_mm, flesh_mm])
    bone = _chain([start, end], [bone_mm, bone_mm])
    return (
        Inlay(InlayKind.TISSUE, flesh, 45.0),
        Inlay(InlayKind.OTHER_BONE, bone, CORTEX_HU, shell_mm=min(3.0, bone_mm / 2), core_hu=MARROW_HU / 2),
    )


def arms(places: Places) -> tuple[Inlay, ...]:
    """Forearms beside the pelvis, with both bones, and hands before the thighs."""
    parts: list[Inlay] = []
    for side in Side:
        s = float(side.lateral_x)
        edge = (places.high[0] + 88.0) if side is Side.LEFT else (places.low[0] - 88.0)
        elbow = np.array([edge, places.centre[1] - 20.0, places.centre[2] + 90.0])
        wrist = elbow + np.array([-18.0 * s, -45.0, -230.0])
        parts += _limb(elbow, wrist, 34.0, 7.5)
        parts.append(_limb(elbow + np.array([0.0, 18.0, 0.0]), wrist + np.array([0.0, 12.0, 0.0]), 34.0, 6.5)[1])
    return tuple(parts)


def cushions(places: Places) -> Inlay:
    """Lay two foam rolls with dense covers under the pelvis."""
    y, z = float(places.high[1]) + 75.0, float(places.centre[2])
    rolls = ((z - 40.0, 22.0), (z + 40.0, 18.0))
    rows: tuple[Row, ...] = tuple((-150.0, y, at, 150.0, y, at, r, r) for at, r in rolls)
    return Inlay(InlayKind.CUSHION, rows, 260.0, shell_mm=2.0, core_hu=-880.0)


def body_above_and_below(places: Places) -> tuple[Inlay, ...]:
    """Lumbar and thoracic spine, ribs, skull, thighs and knees: what a long scan shows."""
    c = places.centre
    top = places.high[2] + 20.0
    spine = [np.array([0.0, c[1] - 8.0 - 22.0 * np.sin(h / 150.0), top + h]) for h in range(8, 560, 34)]
    rows = [row for p in spine for row in _chain([p, p + np.array([0.0, 0.0, 24.0])], [21.0, 21.0])]
    arch = (np.array([0, 25.0, 5]), np.array([0, 52.0, -4]))
    rows += [row for p in spine for row in _chain([p + arch[0], p + arch[1]], [7.0, 4.0])]
    rows += [row for p in spine[4:] for side in (-1.0, 1.0) for row in _rib(p, side)]
    skull = np.array([0.0, c[1] - 25.0, top + 680.0])
    bone = Inlay(InlayKind.OTHER_BONE, tuple(rows), CORTEX_HU, shell_mm=1.5, core_hu=MARROW_HU)
    cap = _chain([skull, skull + np.array([0, 20.0, 0])], [78.0, 82.0])
    vault = Inlay(InlayKind.OTHER_BONE, cap, 1100.0, 6.0, 38.0)
    parts: list[Inlay] = [bone, vault]
    for side in Side:
        head = places.heads[side][0]
        hip = head + np.array([34.0 * side.lateral_x, 6.0, -90.0])
        knee = np.array([0.6 * head[0], head[1] + 10.0, head[2] - 400.0])
        parts += _limb(hip, knee, 62.0, 13.5)
        ends = _chain([knee + np.array([-18.0, 0, -12]), knee + np.array([18.0, 0, -12])], [26.0, 26.0])
        parts.append(Inlay(InlayKind.OTHER_BONE, ends, CORTEX_HU, 1.5, MARROW_HU))
        parts += _limb(knee + np.array([0, 0, -52.0]), knee + np.array([0, 5.0, -300.0]), 50.0, 14.0)
    return tuple(parts)


def _rib(vertebra: Vector, side: float) -> tuple[Row, ...]:
    angles = np.linspace(0.35, 2.8, 9)
    arc = [vertebra + np.array([side * 130 * np.sin(a), -85 + 105 * np.cos(a), -32 * a]) for a in angles]
    return _chain(arc, [5.0] * len(arc))


def growth_plates(places: Places) -> tuple[Cut, ...]:
    """Triradiate cartilage: three planes through each socket."""
    cuts = []
    for side in Side:
        centre, radius = places.heads[side]
        for angle in np.deg2rad([0.0, 60.0, 120.0]):
            normal = (0.0, float(np.sin(angle)), float(np.cos(angle)))
            point = (float(centre[0]), float(centre[1]), float(centre[2]))
            cuts.append(Cut(side.hip, point, normal, 5.0, radius + 22.0))
    return tuple(cuts)
