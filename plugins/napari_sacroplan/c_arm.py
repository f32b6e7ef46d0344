"""Simulated radiographs of the placement that is shown, by the planner's own C-arm. It knows nothing of Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from napari_sacroplan.meshes import implant_mesh
from napari_sacroplan.placement import Placement
from napari_sacroplan.planes import Plane
from napari_sacroplan.reopen import ReviewedCase
from planner.figures.c_arm import OF_BOTH, VIEW_WORDS
from planner.fluoroscopy import Absorber, Beam, CArmView, develop, take_radiograph
from planner.fluoroscopy.angles import Angles
from planner.fluoroscopy.views import down_view
from planner.labels import Side

__all__ = ["Radiograph", "beam_of", "outline_mm", "take_all", "views_of"]

PIXELS = 240
"""Columns and rows of a radiograph at most: as many as the panel shows [P]."""


@dataclass(frozen=True, eq=False)
class Radiograph:
    """One picture, and how it was taken.

    Attributes
    ----------
    view : CArmView
        Name and angles.
    beam : Beam
        Where tube and detector stand.
    brightness : (rows, columns) uint8 array
        The first row is the lowest.
    """

    view: CArmView
    beam: Beam
    brightness: NDArray[np.uint8]

    @property
    def letters(self) -> dict[str, str]:
        """Patient letters at the left, right, top and bottom edge."""
        return Plane(self.view.name, np.zeros(3), self.beam.right_lps, -self.beam.up_lps).letters


def views_of(case: ReviewedCase, side: Side, placement: Placement | None) -> dict[str, CArmView]:
    """Give the views of a side as the plan has them, the one down the implant as the implant lies now."""
    written = case.plan.sides[side.value].fluoroscopy
    views = {
        name: CArmView(name, Angles(view.orbital_deg, view.tilt_deg), view.basis)
        for name, view in (written.views if written else {}).items()
    }
    if placement is not None:
        down = down_view(placement.direction_lps, case.bones)
        views[down.name] = down
    return {name: views[name] for name in VIEW_WORDS if name in views}


def beam_of(case: ReviewedCase, side: Side, view: CArmView) -> Beam | None:
    """Aim at the side's proposal or joint, or between both sides; None where there is neither."""
    foci = [at for each in (Side if view.name in OF_BOTH else (side,)) if (at := _focus(case, each)) is not None]
    config = case.config.fluoroscopy.model_copy(update={"pixels": min(case.config.fluoroscopy.pixels, PIXELS)})
    return Beam.aim(view.angles, np.mean(foci, axis=0), case.bones.frame, config) if foci else None


def _focus(case: ReviewedCase, side: Side) -> NDArray[np.float64] | None:
    candidates, joint = case.plan.sides[side.value].candidates, case.joints.get(side)
    if candidates:
        return Placement.of(candidates[0]).centre_lps
    return joint.vertices_lps.mean(axis=0) if joint is not None and len(joint.vertices_lps) else None


def take_all(
    case: ReviewedCase, side: Side, views: Mapping[str, CArmView], absorber: Absorber | None, say: Callable[[str], None]
) -> tuple[Absorber, list[Radiograph]]:
    """Take the radiographs of some views; the patient's absorber is made once and handed on."""
    absorber = absorber or Absorber.of(case.volume, case.config.fluoroscopy.voxel_mm)
    taken = []
    for name, view in views.items():
        say(f"radiograph {VIEW_WORDS[name]}")
        beam = beam_of(case, side, view)
        if beam is not None:
            brightness = 255 * develop(take_radiograph(absorber, beam, threads=1))
            taken.append(Radiograph(view, beam, brightness.astype(np.uint8)))
    return absorber, taken


def outline_mm(placement: Placement, beam: Beam) -> NDArray[np.float64]:
    """Outline of the implant's shadow, ``(n, 2)`` mm right of and above the picture's middle."""
    shadow = beam.project(implant_mesh(placement)[0])
    outline: NDArray[np.float64] = shadow[ConvexHull(shadow).vertices]
    return outline
