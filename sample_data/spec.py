"""What a phantom is asked to be."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from planner.labels import Side

__all__ = ["Kernel", "PhantomSpec"]


class Kernel(StrEnum):
    """Reconstruction kernel."""

    SOFT = "soft"
    BONE = "bone"


class PhantomSpec(BaseModel):
    """Everything that a phantom depends on; equal specs give equal bytes.

    Attributes
    ----------
    spacing_zyx_mm : tuple of float
        Voxel spacing. Slices thicker than the pixels are averaged over their thickness.
    size_yx_mm : tuple of float
        Field of view, rows by columns, centred on the pelvis.
    z_range_mm : tuple of float
        Caudal and cranial end of the scan in the drawing frame (S1 endplate at 48, coccyx at -70, ischium at -126).
        A scan that ends inside the joint: ``(15, 105)``.
    gap_mm : float
        Bone-to-bone distance in the articular zone.
    ventral_extra_mm : float
        Widening of the gap towards the ventral margin.
    rotation_deg : tuple of float
        Turns of the pelvis on the table about LPS x (tilt), y (roll) and z, applied in this order.
    seed : int
        Of noise, texture and bowel.
    noise_hu : float
        Standard deviation of the noise in water.
    kernel : Kernel
        Soft (smooth, blurred) or bone (sharp, noisier).
    screw, hip_implant : Side or None
        A metal screw across this joint; a hip prosthesis on this side.
    ankylosis : frozenset of Side
        Joints bridged by bone.
    filled_foramina : frozenset of (Side, level)
        Foramina that are closed by bone.
    absent_hip : Side or None
        A side without a hip bone.
    osteoporosis, contrast : bool
        Thin cortex and poor trabeculae; vessels filled with contrast medium.
    shape_coefficients : tuple of float
        Of the shape model, in standard deviations.
    warp_mm : float
        Amplitude of a smooth warp that is outside the shape model's span.
    symmetric : bool
        Average both sides, so that the phantom is its own mirror image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spacing_zyx_mm: tuple[float, float, float] = (1.0, 0.9, 0.9)
    size_yx_mm: tuple[float, float] = (300.0, 384.0)
    z_range_mm: tuple[float, float] = (-132.0, 105.0)
    gap_mm: float = Field(default=1.7, gt=0, le=8)
    ventral_extra_mm: float = Field(default=0.0, ge=0)
    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    seed: int = 0
    noise_hu: float = Field(default=14.0, ge=0)
    kernel: Kernel = Kernel.SOFT
    screw: Side | None = None
    hip_implant: Side | None = None
    ankylosis: frozenset[Side] = frozenset()
    filled_foramina: frozenset[tuple[Side, str]] = frozenset()
    absent_hip: Side | None = None
    osteoporosis: bool = False
    contrast: bool = False
    shape_coefficients: tuple[float, ...] = ()
    warp_mm: float = 1.5
    symmetric: bool = True
