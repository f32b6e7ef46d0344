"""Organs in the cavity, vessels, and what fills the canal and the foramina. Drawing frame, millimetres."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sample_data.closed_forms import Points, capsules, ellipsoid
from sample_data.neighbours import DISCS
from sample_data.sacral_channels import CANAL, CHANNELS
from sample_data.scene import Scene
from sample_data.slabs import BoxMm

__all__ = ["Organ", "canal_contents", "organs"]

F32 = NDArray[np.float32]
Rows = list[tuple[float, ...]]

WALL_HU, FLUID_HU, GAS_HU, STOOL_HU = 42.0, 12.0, -930.0, -60.0
"""CT numbers of bowel."""

BOWEL_WALL_MM = 2.2
"""Wall of bowel and bladder."""

URINE_HU, NERVE_HU, DISC_HU = 5.0, 38.0, 92.0
BLOOD_HU, VEIN_CONTRAST_HU, ARTERY_CONTRAST_HU = 45.0, 150.0, 210.0
"""CT numbers of the other organs; portal venous phase."""

THECAL_END_MM = 12.0
"""The thecal sac ends at S2."""

ARTERIES: Rows = [
    (4, -52, 135, 3, -50, 92, 9, 9),
    (3, -50, 92, 24, -46, 62, 6.5, 6),
    (24, -46, 62, 36, -30, 40, 6, 5.5),
    (36, -30, 40, 50, -56, 0, 5, 5),
    (50, -56, 0, 62, -92, -48, 5, 5),
    (62, -92, -48, 68, -94, -140, 5, 4.5),
    (36, -30, 40, 40, -4, 18, 4.5, 4),
    (40, -4, 18, 46, 16, -8, 4, 3.2),
]
"""Aorta, common, external and internal iliac arteries of the left side."""

VEINS: Rows = [
    (6, -36, 92, 30, -34, 60, 8, 8),
    (30, -34, 60, 38, -20, 38, 7.5, 7),
    (38, -20, 38, 54, -46, -2, 6.5, 6.5),
    (54, -46, -2, 52, -86, -50, 6.5, 6.5),
    (52, -86, -50, 58, -86, -140, 6.5, 6),
    (38, -20, 38, 38, 6, 16, 5, 4.5),
]
"""Common, external and internal iliac veins of the left side."""

CAVA: Rows = [(-18, -44, 135, -10, -40, 92, 11, 10)]

RECTUM: Rows = [
    (0, 18, -82, 0, 40, -56, 11, 15),
    (0, 40, -56, 4, 38, -24, 15, 14),
    (4, 38, -24, 2, 12, 6, 14, 13),
    (2, 12, 6, -24, -22, 22, 13, 13),
    (-24, -22, 22, 18, -52, 26, 13, 13),
    (18, -52, 26, 58, -60, 38, 13, 14),
    (58, -60, 38, 84, -58, 70, 14, 15),
    (84, -58, 70, 92, -50, 130, 15, 16),
]
"""Rectum and sigmoid to the descending colon."""

CAECUM: Rows = [(-78, -66, 30, -86, -60, 66, 23, 25), (-86, -60, 66, -92, -52, 130, 25, 23)]

NERVES: dict[str, float] = {"S1": 2.6, "S2": 2.3, "S3": 1.8, "S4": 1.4}
"""Radius of each sacral nerve in its foramen."""


@dataclass(frozen=True, eq=False)
class Organ:
    """A solid of soft tissue: its box, its distance, its CT number."""

    box_mm: BoxMm
    distance: Callable[[Points], F32]
    hu: float


def organs(scene: Scene) -> Iterator[Organ]:
    """Organs in the order in which they are drawn, before the bones."""
    for disc in DISCS:
        yield Organ(((-30.0, -42.0, 34.0), (30.0, 22.0, 100.0)), disc.distance, DISC_HU)
    yield from _bowel(scene.spec.seed)
    yield from _pelvic_organs()
    yield from _vessels(contrast=scene.spec.contrast)


def canal_contents() -> Iterator[Organ]:
    """Thecal sac and nerves, drawn after the channels are open."""
    yield Organ(((-20.0, 0.0, -30.0), (20.0, 75.0, 140.0)), _thecal_sac, 18.0)
    rows: Rows = []
    for level, c in CHANNELS.items():
        radius = NERVES[level]
        rows += [(*c.root, *c.junction, radius, radius), (*c.junction, *c.ventral, radius, radius)]
    yield from _tubes(_both_sides(rows), NERVE_HU)


def _thecal_sac(p: Points) -> F32:
    sac: F32 = np.maximum(CANAL.distance(p) + np.float32(2.5), np.float32(THECAL_END_MM) - p.z)
    return sac


def _tubes(rows: Rows, hu: float) -> Iterator[Organ]:
    """One organ a piece of tube, so that each is drawn in its own small box."""
    for row in rows:
        yield Organ(_box_of(row), _tube(row), hu)


def _tube(row: tuple[float, ...]) -> Callable[[Points], F32]:
    return lambda p: capsules(p, row)


def _box_of(row: tuple[float, ...]) -> BoxMm:
    ends, reach = np.array(row[:6]).reshape(2, 3), max(row[6:]) + 1.0
    low, high = (ends.min(axis=0) - reach).tolist(), (ends.max(axis=0) + reach).tolist()
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _both_sides(rows: Rows) -> Rows:
    return rows + [(-r[0], *r[1:3], -r[3], *r[4:]) for r in rows]


def _shrunk(rows: Rows, by_mm: float) -> Rows:
    return [(*r[:6], r[6] - by_mm, r[7] - by_mm) for r in rows]


def _bowel(seed: int) -> Iterator[Organ]:
    """Colon with stool, small bowel loops with fluid, gas on top."""
    loops = _loops(np.random.default_rng(seed + 1))
    for rows, content in ((RECTUM, STOOL_HU), (CAECUM, STOOL_HU), (loops, FLUID_HU)):
        yield from _tubes(rows, WALL_HU)
        yield from _tubes(_shrunk(rows, BOWEL_WALL_MM), content)
    yield from _gas(RECTUM[1:2] + RECTUM[5:7] + CAECUM + loops[::4])


def _loops(rng: np.random.Generator) -> Rows:
    """Small bowel: short curved pieces in layers behind the abdominal wall."""
    rows: Rows = []
    for x in range(-54, 60, 27):
        for z in range(-18, 130, 26):
            start = np.array([x, -82.0, z]) + rng.uniform(-6, 6, 3)
            for _ in range(3):
                end = start + rng.uniform((-14, -2, -12), (14, 18, 12))
                rows.append((*start, *end, 10.5, 10.5))
                start = end
    return rows


def _gas(rows: Rows) -> Iterator[Organ]:
    """Gas in the upper (ventral) part of tubes, the patient lying on the back."""
    for row in _shrunk(rows, BOWEL_WALL_MM):
        yield Organ(_box_of(row), _upper_part(row), GAS_HU)


def _upper_part(r: tuple[float, ...]) -> Callable[[Points], F32]:
    lifted = (r[0], r[1] - 0.6 * r[6], r[2], r[3], r[4] - 0.6 * r[7], r[5], r[6] * 0.8, r[7] * 0.8)
    return lambda p: np.maximum(capsules(p, lifted), capsules(p, r))


def _pelvic_organs() -> Iterator[Organ]:
    """Bladder with its wall, prostate or cervix, seminal vesicles or adnexa."""
    box: BoxMm = ((-50.0, -85.0, -100.0), (50.0, 20.0, -5.0))
    for shrink, hu in ((0.0, WALL_HU), (2.5, URINE_HU)):
        yield Organ(box, _ball((0, -44, -44), (38 - shrink, 28 - shrink, 25 - shrink)), hu)
    yield Organ(box, _ball((0, -18, -72), (21, 15, 16)), WALL_HU)
    yield Organ(box, _ball((0, -4, -48), (30, 7, 6)), WALL_HU)


def _ball(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Callable[[Points], F32]:
    return lambda p: ellipsoid(p, centre, radii)


def _vessels(*, contrast: bool) -> Iterator[Organ]:
    yield from _tubes(_both_sides(VEINS) + CAVA, VEIN_CONTRAST_HU if contrast else BLOOD_HU)
    yield from _tubes(_both_sides(ARTERIES), ARTERY_CONTRAST_HU if contrast else BLOOD_HU)
