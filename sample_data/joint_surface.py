"""The sacroiliac joint in closed form: a curved mid-surface, its gap, the C of the articular zone, and the thirds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner.joint.model import Zone
from planner.labels import Side
from sample_data.closed_forms import Points

__all__ = ["FIT_BOX_YZ_MM", "JointSurface", "fit_height"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

CORNER_YZ_MM = (9.0, 14.0)
"""Where the two limbs' centre lines meet, drawing frame; laid on the mean shape's own joint."""

SUPERIOR_DIRECTION_YZ = (0.2, 0.98)
"""Direction of the superior limb; the inferior limb is turned from it by `LIMB_ANGLE_DEG`."""

LIMB_ANGLE_DEG = 93.0
"""Angle between the limbs (J Orthop Trauma 1993;7:510)."""

SUPERIOR_LIMB_MM, INFERIOR_LIMB_MM, LIMB_WIDTH_MM = 44.0, 56.0, 20.0
"""Outer lengths and width of the limbs (J Orthop Trauma 1993;7:510)."""

FIT_BOX_YZ_MM = ((-8.0, 58.0), (-12.0, 56.0))
"""Where the height function is fitted; beyond, its edge value counts. Drawing frame."""

FIT_CENTRE_YZ_MM, FIT_SCALE_MM = (27.2, 27.8), 30.0
"""Makes the polynomial's arguments about 1."""

DEGREE = 4
"""Of the height polynomial: 1.0 mm rms from the mean shape's mid-surface."""

OPENING, RECESS_OPENING = 0.25, 0.6
"""Growth of the gap per mm beyond the articular zone: at its margins, and in the dorsal-cranial recess. [P]"""

MARGIN_MM = 3.0
"""Rim of the articular zone within which both faces are still cut. [P]"""

OPENING_ENDS_MM = 14.0
"""The gap grows no more this far beyond the articular zone. [P]"""

VENTRAL_MARGIN_MM = 20.0
"""Depth over which an extra ventral gap tapers to nothing."""

_TERMS = tuple((a, b) for a in range(DEGREE + 1) for b in range(DEGREE + 1 - a))


@njit(cache=True)
def _evaluate(s: F64, t: F64, coefficients: F64, scale_mm: float) -> tuple[F64, F64]:
    """Sum of ``c s^a t^b`` over ``a + b <= 4``, in the order of `_TERMS`, and the length of the normal."""
    height, normal = np.empty(len(s)), np.empty(len(s))
    for n in range(len(s)):
        value, by_s, by_t = 0.0, 0.0, 0.0
        power, below, k = 1.0, 0.0, 0
        for a in range(DEGREE + 1):
            inner, slope = 0.0, 0.0
            for b in range(DEGREE - a, -1, -1):
                slope = slope * t[n] + inner
                inner = inner * t[n] + coefficients[k + b]
            value += power * inner
            by_t += power * slope
            by_s += a * below * inner
            below, power, k = power, power * s[n], k + DEGREE + 1 - a
        height[n] = value
        normal[n] = np.sqrt(1 + (by_s / scale_mm) ** 2 + (by_t / scale_mm) ** 2)
    return height, normal


def fit_height(lateral_mm: F64, y_mm: F64, z_mm: F64, weight: F64) -> F64:
    """Coefficients of ``lateral = f(y, z)`` by weighted least squares."""
    s = (y_mm - FIT_CENTRE_YZ_MM[0]) / FIT_SCALE_MM
    t = (z_mm - FIT_CENTRE_YZ_MM[1]) / FIT_SCALE_MM
    basis = np.stack([s**a * t**b for a, b in _TERMS], axis=-1)
    return np.asarray(np.linalg.lstsq(basis * weight[:, None], lateral_mm * weight, rcond=None)[0], np.float64)


@dataclass(frozen=True, eq=False)
class JointSurface:
    r"""One joint: ``lateral = f(y, z)``, faces at ``u = -gap/2`` (sacrum) and ``u = +gap/2`` (ilium).

    .. math:: u = (x_{lateral} - f(y, z)) / \sqrt{1 + |\nabla f|^2}

    is the distance to the mid-surface to first order; over half a gap of 1 mm and a radius of curvature of 20 mm
    the error is below 0.03 mm. All in the drawing frame, `Points` mirrored so that lateral is +x.

    Attributes
    ----------
    side : Side
        The patient's side.
    coefficients : (15,) float64 array
        Of `fit_height`.
    gap : float
        Bone-to-bone distance in the articular zone, mm.
    ventral_extra_mm : float
        Added to the gap at the ventral margin, linear to nothing over `VENTRAL_MARGIN_MM`.
    """

    side: Side
    coefficients: F64
    gap: float
    ventral_extra_mm: float = 0.0

    def lateral_mm(self, y: F32 | F64, z: F32 | F64) -> F64:
        """Height of the mid-surface over the mid-sagittal plane."""
        return self._height(y, z)[0]

    def _height(self, y: F32 | F64, z: F32 | F64) -> tuple[F64, F64]:
        """Height of the mid-surface, and the length of its normal ``(1, -f_y, -f_z)``."""
        (y_low, y_high), (z_low, z_high) = FIT_BOX_YZ_MM
        flat = [np.ascontiguousarray(np.broadcast_to(v, np.broadcast(y, z).shape), np.float64).ravel() for v in (y, z)]
        s = (np.clip(flat[0], y_low, y_high) - FIT_CENTRE_YZ_MM[0]) / FIT_SCALE_MM
        t = (np.clip(flat[1], z_low, z_high) - FIT_CENTRE_YZ_MM[1]) / FIT_SCALE_MM
        height, normal = _evaluate(s, t, self.coefficients, FIT_SCALE_MM)
        shape = np.broadcast(y, z).shape
        return height.reshape(shape), normal.reshape(shape)

    def offset_mm(self, points: Points) -> F32:
        """Signed distance to the mid-surface, positive towards the ilium."""
        lateral, normal = self._height(points.y, points.z)
        result: F32 = ((points.x - lateral) / normal).astype(np.float32)
        return result

    def margin_mm(self, y: F32 | F64, z: F32 | F64) -> F64:
        """Signed distance to the rim of the articular zone within the sagittal projection, negative inside."""
        radius = LIMB_WIDTH_MM / 2
        ends = self.limb_ends_yz_mm()
        result: F64 = np.minimum(*(_segment_distance(y, z, CORNER_YZ_MM, end) for end in ends)) - radius
        return result

    @staticmethod
    def limb_ends_yz_mm() -> tuple[tuple[float, float], tuple[float, float]]:
        """Give the ends of the superior and the inferior limb's centre line."""
        first = np.arctan2(SUPERIOR_DIRECTION_YZ[1], SUPERIOR_DIRECTION_YZ[0])
        angles = (first, first - np.deg2rad(LIMB_ANGLE_DEG))
        lengths = (SUPERIOR_LIMB_MM - LIMB_WIDTH_MM, INFERIOR_LIMB_MM - LIMB_WIDTH_MM)
        ends = [
            (CORNER_YZ_MM[0] + n * float(np.cos(a)), CORNER_YZ_MM[1] + n * float(np.sin(a)))
            for a, n in zip(angles, lengths, strict=True)
        ]
        return ends[0], ends[1]

    @staticmethod
    def into_recess(y: F32 | F64, z: F32 | F64) -> F64:
        """0 outside the arms of the C, 1 between them and beyond the limbs' rims, where the ligament recess lies."""
        superior = np.arctan2(SUPERIOR_DIRECTION_YZ[1], SUPERIOR_DIRECTION_YZ[0])
        along = [
            (y - CORNER_YZ_MM[0]) * np.cos(angle) + (z - CORNER_YZ_MM[1]) * np.sin(angle)
            for angle in (superior, superior - np.deg2rad(LIMB_ANGLE_DEG))
        ]
        result: F64 = np.clip(np.minimum(*along) / (LIMB_WIDTH_MM / 2), 0, 1)
        return result

    def cut_mm(self, y: F32 | F64, z: F32 | F64) -> F64:
        """Least distance of a bone's face from the mid-surface.

        Half the gap in the articular zone, at its margin and towards the recess. Further before and below the zone,
        where the bones part by themselves, it slackens, so that a bone that bends across the extrapolated mid-surface
        is left whole.
        """
        slack = (1 - self.into_recess(y, z)) * np.maximum(self.margin_mm(y, z) - MARGIN_MM, 0)
        result: F64 = self.gap_mm(y, z) / 2 - slack
        return result

    def gap_mm(self, y: F32 | F64, z: F32 | F64) -> F64:
        """Distance between the faces: as given in the articular zone, opening beyond it."""
        beyond = np.clip(self.margin_mm(y, z), 0, OPENING_ENDS_MM)
        growth = OPENING + (RECESS_OPENING - OPENING) * self.into_recess(y, z)
        ventral = np.clip((self.ventral_edge_mm() + VENTRAL_MARGIN_MM - y) / VENTRAL_MARGIN_MM, 0, 1)
        result: F64 = self.gap + growth * beyond + self.ventral_extra_mm * ventral
        return result

    @staticmethod
    def ventral_edge_mm() -> float:
        """Y of the most ventral point of the articular zone."""
        return CORNER_YZ_MM[0] - LIMB_WIDTH_MM / 2

    def zone(self, y: F32 | F64, z: F32 | F64) -> NDArray[np.uint8]:
        """`planner.joint.model.Zone` of places on the mid-surface."""
        zone: NDArray[np.uint8] = np.where(self.margin_mm(y, z) <= 0, Zone.ARTICULAR, Zone.LIGAMENTOUS).astype(np.uint8)
        return zone

    def bounds_mm(self) -> F64:
        """Z of the four bounds of the thirds: inferior end, inferior|middle, middle|superior, superior end."""
        (_, top), (_, bottom) = self.limb_ends_yz_mm()
        radius = LIMB_WIDTH_MM / 2
        result: F64 = np.linspace(bottom - radius, top + radius, 4)
        return result

    def sheet(self, step_mm: float = 1.0, beyond_mm: float = 0.0) -> F64:
        """Points ``(n, 3)`` of the mid-surface over the articular zone and `beyond_mm` round it; x is lateral."""
        (y_box, z_box) = FIT_BOX_YZ_MM
        y, z = np.meshgrid(np.arange(*y_box, step_mm), np.arange(*z_box, step_mm), indexing="ij")
        keep = self.margin_mm(y, z) <= beyond_mm
        result: F64 = np.stack([self.lateral_mm(y, z)[keep], y[keep], z[keep]], axis=-1)
        return result

    def articular_area_mm2(self, step_mm: float = 0.25) -> float:
        """Area of the mid-surface within the articular zone."""
        sheet = self.sheet(step_mm)
        return float(self._height(sheet[:, 1], sheet[:, 2])[1].sum() * step_mm**2)


def _segment_distance(y: F32 | F64, z: F32 | F64, a: tuple[float, float], b: tuple[float, float]) -> F64:
    uy, uz = b[0] - a[0], b[1] - a[1]
    t = np.clip(((y - a[0]) * uy + (z - a[1]) * uz) / (uy**2 + uz**2), 0, 1)
    result: F64 = np.hypot(y - a[0] - t * uy, z - a[1] - t * uz)
    return result
