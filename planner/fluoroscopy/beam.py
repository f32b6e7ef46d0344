"""A cone beam: from one position of the C-arm to a picture of the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.fluoroscopy.angles import Angles, detector_axes
from planner.fluoroscopy.config import FluoroscopyConfig
from planner.segmentation.model import PelvicFrame

__all__ = ["Beam"]

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Beam:
    """Where tube and detector stand.

    Attributes
    ----------
    source_lps : (3,) float64 array
        The focal spot.
    right_lps, up_lps, ray_lps : (3,) float64 arrays
        Unit vectors along the picture's right and up, and from the tube to the middle of the detector.
    source_detector_mm, source_object_mm : float
        From the focal spot to the detector and to the point at which the C-arm is aimed.
    detector_mm : float
        Side of the detector.
    pixels : int
        Columns and rows.
    """

    source_lps: Vector
    right_lps: Vector
    up_lps: Vector
    ray_lps: Vector
    source_detector_mm: float
    source_object_mm: float
    detector_mm: float
    pixels: int

    @classmethod
    def aim(cls, angles: Angles, at_lps: Vector, frame: PelvicFrame, config: FluoroscopyConfig) -> Beam:
        """Turn the C-arm and put a point of the patient in the middle of the picture."""
        right, up, ray = detector_axes(angles, frame)
        return cls(
            at_lps - config.source_object_mm * ray,
            right,
            up,
            ray,
            config.source_detector_mm,
            config.source_object_mm,
            config.detector_mm,
            config.pixels,
        )

    @property
    def half_field_mm(self) -> float:
        """Half the width of what is seen at the distance of the point aimed at."""
        return self.detector_mm / 2 * self.source_object_mm / self.source_detector_mm

    @property
    def pixel_mm(self) -> float:
        """Size of a pixel at the distance of the point aimed at."""
        return 2 * self.half_field_mm / self.pixels

    def project(self, points_lps: Vector) -> Vector:
        """Place LPS points ``(..., 3)`` in the picture.

        Returns
        -------
        (..., 2) float64 array
            Right and up of the picture's middle, mm, scaled to the distance of the point aimed at: there a millimetre
            of the patient is a millimetre of the picture.
        """
        offset = points_lps - self.source_lps
        scale = self.source_object_mm / (offset @ self.ray_lps)
        flat: Vector = np.stack([offset @ self.right_lps, offset @ self.up_lps], axis=-1) * scale[..., None]
        return flat

    def magnification(self, point_lps: Vector) -> float:
        """Size in the picture of what is one at a point, 1 at the point aimed at."""
        return float(self.source_object_mm / ((point_lps - self.source_lps) @ self.ray_lps))

    def corner_lps(self) -> tuple[Vector, Vector, Vector]:
        """Middle of the lower left pixel on the detector, and the steps from there to the right and up, LPS mm."""
        pixel = self.detector_mm / self.pixels
        middle = self.source_lps + self.source_detector_mm * self.ray_lps
        to_corner = (self.pixels - 1) / 2 * pixel * (self.right_lps + self.up_lps)
        return middle - to_corner, pixel * self.right_lps, pixel * self.up_lps
