"""L5, its neighbour, the discs and the femora, in closed form. Drawing frame, millimetres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sample_data.closed_forms import Points, capsules, smooth_union

__all__ = ["DISCS", "VERTEBRAE", "Disc", "Femur", "Vertebra"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


def _rounded_cylinder(
    p: Points, centre_yz: tuple[float, float], tilt_deg: float, radii: tuple[float, float], half: float
) -> F32:
    """Give an elliptic cylinder, waisted like a vertebra, its axis `tilt_deg` from cranial to ventral."""
    c, s = np.float32(np.cos(np.deg2rad(tilt_deg))), np.float32(np.sin(np.deg2rad(tilt_deg)))
    y, z = p.y - np.float32(centre_yz[0]), p.z - np.float32(centre_yz[1])
    along, depth = z * c - y * s, y * c + z * s
    waist = np.float32(0.92) + np.float32(0.10) * np.minimum((along / np.float32(half)) ** 2, np.float32(1))
    flat = np.maximum(depth, 0) ** 2 * np.float32(0.012)  # the dorsal wall is flat to hollow
    round_ = np.hypot(p.x / np.float32(radii[0]), (depth + flat) / np.float32(radii[1]))
    side = (round_ - waist) * np.float32(min(radii))
    edge = np.float32(2.0)
    a, b = np.maximum(side + edge, 0), np.maximum(np.abs(along) - np.float32(half) + edge, 0)
    inner = np.minimum(np.maximum(side, np.abs(along) - np.float32(half)) + edge, 0)
    result: F32 = np.hypot(a, b) + inner - edge
    return result


@dataclass(frozen=True)
class Vertebra:
    """A lumbar vertebra: body, arch and processes.

    Attributes
    ----------
    centre_yz : tuple of float
        Centre of the body.
    tilt_deg : float
        Of its axis, from cranial towards ventral.
    half_height : float
        Of the body.
    """

    centre_yz: tuple[float, float]
    tilt_deg: float
    half_height: float

    def _placed(self, rows: list[tuple[float, ...]]) -> F64:
        """Capsule rows from the vertebra's own axes (x left, y posterior, z up) to the drawing frame, both sides."""
        c, s = np.cos(np.deg2rad(self.tilt_deg)), np.sin(np.deg2rad(self.tilt_deg))
        table = np.asarray(rows, float)
        for start in (0, 3):
            y, z = table[:, start + 1].copy(), table[:, start + 2].copy()
            table[:, start + 1] = self.centre_yz[0] + y * c - z * s
            table[:, start + 2] = self.centre_yz[1] + y * s + z * c
        return table

    def distance(self, p: Points) -> F32:
        """Signed distance to the bone."""
        body = _rounded_cylinder(p, self.centre_yz, self.tilt_deg, (26.0, 17.5), self.half_height)
        arch: list[tuple[float, ...]] = [
            (13, 12, 5, 18, 25, 4, 5.0, 4.5),  # pedicle
            (18, 25, 4, 0, 38, -4, 4.5, 4.5),  # lamina
            (17, 21, 5, 38, 24, 9, 5.5, 4.0),  # transverse process
            (38, 24, 9, 44, 25, 11, 4.0, 3.5),
            (19, 25, 4, 22, 26, 19, 5.0, 4.0),  # superior articular process
            (18, 28, 0, 19, 34, -16, 4.5, 5.0),  # inferior articular process
            (0, 38, -4, 0, 58, -9, 3.5, 4.5),  # spinous process
            (0, 38, -9, 0, 56, -14, 3.0, 4.0),
        ]
        return smooth_union(body, capsules(Points(np.abs(p.x), p.y, p.z), self._placed(arch)), 4.0)


VERTEBRAE = (Vertebra((-12.5, 68.5), 22.0, 13.5), Vertebra((-19.5, 105.0), 8.0, 14.0))
"""L5 above the mean sacrum's endplate, and L4."""


@dataclass(frozen=True)
class Disc:
    """An intervertebral disc."""

    centre_yz: tuple[float, float]
    tilt_deg: float
    half_height: float

    def distance(self, p: Points) -> F32:
        """Signed distance to the disc."""
        return _rounded_cylinder(p, self.centre_yz, self.tilt_deg, (25.5, 17.0), self.half_height)


DISCS = (Disc((-5.0, 50.0), 32.0, 8.0), Disc((-17.0, 87.0), 15.0, 6.5))
"""L5-S1 and L4-L5; they run into the bones on both sides, which win."""


@dataclass(frozen=True, eq=False)
class Femur:
    """A left femur from head to upper shaft; the right one is its mirror image.

    Attributes
    ----------
    centre_mm : (3,) float64 array
        Of the head, drawing frame, mirrored to the left.
    head_radius_mm : float
        Radius of the head.
    """

    centre_mm: F64
    head_radius_mm: float

    def distance(self, left: Points) -> F32:
        """Signed distance to the bone; `left` is mirrored so that this side is +x."""
        x, y, z = self.centre_mm
        r = self.head_radius_mm
        neck = np.array([x + 0.5 * r, y + 1, z - 0.35 * r, x + 42, y + 8, z - 28, 15.0, 16.5])
        trochanter = np.array([x + 46, y + 13, z - 4, x + 46, y + 10, z - 34, 9.0, 15.0])
        shaft = np.array([x + 42, y + 8, z - 34, x + 32, y + 6, z - 150, 18.0, 14.0])
        lesser = np.array([x + 27, y + 16, z - 58, x + 33, y + 10, z - 50, 6.0, 8.0])
        head = np.array([x, y, z, x, y, z, r, r])
        bone = capsules(left, head)
        for part in (neck, trochanter, shaft, lesser):
            bone = smooth_union(bone, capsules(left, part), 7.0)
        return bone
