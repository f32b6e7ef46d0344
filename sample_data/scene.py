"""The phantom's solid parts: each with its label, its box and its signed distance in the drawing frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.labels import Label, Side
from sample_data.closed_forms import Points, capsules
from sample_data.neighbours import VERTEBRAE, Femur
from sample_data.skeleton import JointSpec, Skeleton, build_skeleton
from sample_data.slabs import BoxMm
from sample_data.spec import PhantomSpec

__all__ = ["Part", "Scene", "build_scene"]

F32 = NDArray[np.float32]

SACRUM_BOX_MM = ((-72.0, -30.0, -82.0), (72.0, 90.0, 72.0))
LUMBAR_BOX_MM = ((-55.0, -52.0, 30.0), (55.0, 62.0, 140.0))
HIP_BOX_MM = ((-8.0, -100.0, -145.0), (160.0, 82.0, 100.0))
FEMUR_BOX_MM = ((45.0, -75.0, -230.0), (165.0, 40.0, -20.0))
BRIDGE_BOX_MM = ((30.0, 20.0, -10.0), (70.0, 50.0, 25.0))

L5_CLEARANCE_MM = 2.0
"""Facet and disc space that stays between L5 and the sacrum. [P]"""

HIP_CLEARANCE_MM = 2.0
"""Least hip joint space. [P]"""

SCREW = (40.0, 32.0, 14.0, 96.0, 12.0, 8.0, 3.5, 3.5)
"""Transfixing screw, left side: axis and radius, drawing frame."""

CUP_MM = 3.5
"""Thickness of the metal cup of a hip prosthesis."""


@dataclass(frozen=True, eq=False)
class Part:
    """A solid: where it may be, how far it is, and what it is called."""

    label: Label
    box_mm: BoxMm
    distance: Callable[[Points], F32]


@dataclass(frozen=True, eq=False)
class Scene:
    """All solids of one phantom."""

    skeleton: Skeleton
    spec: PhantomSpec

    def femur(self, side: Side) -> Femur:
        """Give the femur of a side, mirrored to the left."""
        centre, radius = self.skeleton.heads[side]
        return Femur(centre * (side.lateral_x, 1, 1), radius)

    def sides(self) -> list[Side]:
        """Sides that have a hip bone."""
        return [side for side in Side if side is not self.spec.absent_hip]

    def bones(self) -> Iterator[Part]:
        """Bones, in the order in which they are drawn."""
        skeleton = self.skeleton
        yield Part(Label.LUMBAR, LUMBAR_BOX_MM, self._lumbar)
        yield Part(Label.SACRUM, SACRUM_BOX_MM, skeleton.sacrum)
        for side in self.sides():
            femur = Label.LEFT_FEMUR if side is Side.LEFT else Label.RIGHT_FEMUR
            yield Part(femur, _on(side, FEMUR_BOX_MM), self._femur(side))
            yield Part(side.hip, _on(side, HIP_BOX_MM), self._hip(side))
        for side in sorted(self.spec.ankylosis):
            yield Part(side.hip, _on(side, BRIDGE_BOX_MM), self._bridge(side))

    def metal(self) -> Iterator[Part]:
        """Implants; they have no label of their own."""
        if self.spec.screw is not None:
            side = self.spec.screw
            yield Part(Label.BACKGROUND, _on(side, ((30, 0, 0), (110, 45, 25))), _capsule_on(side, SCREW))
        if self.spec.hip_implant is not None:
            side = self.spec.hip_implant
            yield Part(Label.BACKGROUND, _on(side, FEMUR_BOX_MM), self._prosthesis(side))

    def _lumbar(self, p: Points) -> F32:
        bone = np.minimum(*(vertebra.distance(p) for vertebra in VERTEBRAE))
        apart = np.float32(L5_CLEARANCE_MM) - self.skeleton.outer_sacrum(p)
        result: F32 = np.maximum(bone, apart)
        return result

    def _hip(self, side: Side) -> Callable[[Points], F32]:
        return lambda p: self.skeleton.hip(p, side)

    def _bridge(self, side: Side) -> Callable[[Points], F32]:
        return lambda p: self.skeleton.bridge(p, side)

    def _femur(self, side: Side) -> Callable[[Points], F32]:
        femur = self.femur(side)

        def distance(p: Points) -> F32:
            apart = np.float32(HIP_CLEARANCE_MM) - self.skeleton.hip(p, side)
            result: F32 = np.maximum(femur.distance(p.mirrored(side.lateral_x)), apart)
            return result

        return distance

    def _prosthesis(self, side: Side) -> Callable[[Points], F32]:
        femur = self.femur(side)
        x, y, z = femur.centre_mm
        r = femur.head_radius_mm
        rows = [
            (x, y, z, x, y, z, r - 7, r - 7),
            (x, y, z, x + 38, y + 7, z - 30, 6.0, 8.0),
            (x + 38, y + 7, z - 30, x + 33, y + 6, z - 140, 9.0, 5.0),
        ]

        def distance(p: Points) -> F32:
            left = p.mirrored(side.lateral_x)
            ball = np.sqrt((left.x - x) ** 2 + (left.y - y) ** 2 + (left.z - z) ** 2)
            shell = np.abs(ball - np.float32(r)) - np.float32(CUP_MM / 2)
            open_ = (left.x - x) * np.float32(0.75) - (left.z - z) * np.float32(0.66)
            result: F32 = np.minimum(capsules(left, rows), np.maximum(shell, open_)).astype(np.float32)
            return result

        return distance


def _capsule_on(side: Side, row: tuple[float, ...]) -> Callable[[Points], F32]:
    return lambda p: capsules(p.mirrored(side.lateral_x), row)


def _on(side: Side, box: BoxMm) -> BoxMm:
    (x0, y0, z0), (x1, y1, z1) = box
    return box if side is Side.LEFT else ((-x1, y0, z0), (-x0, y1, z1))


def build_scene(spec: PhantomSpec) -> Scene:
    """Make the solids that a spec asks for."""
    joints = JointSpec(spec.gap_mm, spec.ventral_extra_mm, spec.ankylosis, spec.filled_foramina)
    return Scene(build_skeleton(joints, spec.shape_coefficients, spec.warp_mm, symmetric=spec.symmetric), spec)
