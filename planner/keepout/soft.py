"""Soft tissue that no instrument may reach: what lies before the joint and the ala, vessels with contrast, the notch.

Nerves and vessels before the joint are not seen as such in CT without contrast: the lumbosacral trunk and the internal
iliac vessels lie about 5 mm before the sacrum, the trunk within 10 mm of the joint at the brim
(10.1038/s41598-021-99851-3). The layer in which they lie is kept out of instead. The superior gluteal bundle leaves the
pelvis over the rim of the greater sciatic notch: the room round the notch's apex is kept out of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.distance import distance_within
from planner.grid import Grid
from planner.keepout.config import KeepoutConfig
from planner.labels import Label, Side
from planner.resampling import nearest_on
from planner.segmentation.model import Bones
from planner.segmentation.shapes import boxes_of, padded
from planner.volume import Box, Volume

__all__ = ["SoftTissue", "find_soft_tissue"]

STEP_MM = 2.0
"""Voxels of the search: the layer is a margin, not an outline `[P]`."""

FACING = 0.3
"""A place lies before the bone where the way from the bone to it points forward by at least this cosine `[P]`."""

SMOOTHING_MM = 3.0
"""Standard deviation of the blur under which the bones' faces are seen: holes and grooves have no face `[P]`."""

CLOSING_MM = 10.0
"""Joint space, foramina and grooves are part of the bone's face up to twice this wide `[P]`."""

OFF_BONE_MM = 3.0
"""What is bright nearer than this to a bone is the bone's own blur `[P]`."""

BONE_HU = 350.0
"""Brighter is bone without a label more often than a vessel: contrast in the pelvis's vessels reaches 150-350 `[P]`."""

VESSEL_REACH_MM = 35.0
"""Vessels farther from the sacrum are out of any instrument's reach, and femora without labels are left out `[P]`."""

VESSEL_MM3 = 500.0
"""Least volume of a vessel with contrast within the search: 4 mm thick, 40 mm long `[P]`."""

THINNEST_MM, THICKEST_MM = 2.0, 12.0
"""Half-width of a vessel, more than a voxel of the search: the common iliac artery is 8-12 mm wide, an aneurysm up to
twice that `[P]`."""

Mask = NDArray[np.bool_]


class SoftTissue(NamedTuple):
    """Soft keep-outs on the scan's grid, and how much of each kind there is.

    Attributes
    ----------
    box : tuple of slice
        Where in the scan.
    mask : (z, y, x) bool array
        Of the box.
    volumes_ml : mapping of str to float
        ``ventral-layer``, ``contrast-vessel``, ``gluteal-bundle``; what is not there is left out.
    """

    box: Box
    mask: Mask
    volumes_ml: Mapping[str, float]


def find_soft_tissue(
    volume: Volume, bones: Bones, notches_lps: Mapping[Side, NDArray[np.float64]], config: KeepoutConfig
) -> SoftTissue | None:
    """Find the soft keep-outs round the joints; None where there is no sacrum.

    Parameters
    ----------
    volume, bones : Volume, Bones
        On one grid.
    notches_lps : mapping of Side to (3,) array
        Apex of the greater sciatic notch, where known.
    config : KeepoutConfig
        Margins.
    """
    labels, grid = bones.labels.values, bones.labels.grid
    sacrum = boxes_of(labels).get(Label.SACRUM)
    if sacrum is None:
        return None
    box = padded(sacrum, config.joint_reach_mm, grid)
    own = grid.crop(box)
    coarse = own.resampled(np.maximum(STEP_MM, own.spacing_zyx_mm))
    seen = _Seen(nearest_on(labels[box], own, coarse), coarse, bones, config)
    parts = {
        "ventral-layer": seen.ventral(),
        "contrast-vessel": seen.vessels(nearest_on(volume.hu[box], own, coarse)),
        "gluteal-bundle": seen.round_places(list(notches_lps.values())),
    }
    voxel_ml = float(np.prod(coarse.spacing_zyx_mm)) / 1000
    volumes = {name: round(float(part.sum()) * voxel_ml, 1) for name, part in parts.items() if part.any()}
    every = np.any(list(parts.values()), axis=0)
    mask = nearest_on(every.astype(np.uint8), coarse, own) > 0
    return SoftTissue(box, mask & (labels[box] == Label.BACKGROUND), volumes)


class _Seen:
    """The bones round the joints on a coarse grid."""

    def __init__(self, labels: NDArray[np.uint8], grid: Grid, bones: Bones, config: KeepoutConfig) -> None:
        self.grid, self.frame, self.config = grid, bones.frame, config
        self.bone: Mask = labels > 0
        self.free = ~self.bone
        self.sacrum, self.lumbar = labels == Label.SACRUM, labels == Label.LUMBAR
        self.hips = {side: labels == side.hip for side in Side}

    def _away(self, mask: Mask, reach_mm: float) -> NDArray[np.float32]:
        return distance_within(mask, self.grid.spacing_zyx_mm, reach_mm + float(self.grid.spacing_zyx_mm.max()))

    def ventral(self) -> Mask:
        """Free places within the margin before sacrum and hip bone, near the joint between them."""
        reach, margin = self.config.joint_reach_mm, self.config.ventral_margin_mm
        from_sacrum = self._away(self.sacrum, reach) <= reach
        layer = np.zeros(self.free.shape, bool)
        for hip in self.hips.values():
            if not hip.any():
                continue
            near = from_sacrum & (self._away(hip, reach) <= reach)
            face = self._face((self.sacrum | hip) & near)
            away = self._away(face, margin)
            layer |= near & ~face & (away <= margin) & self._before(face)
        return layer & self.free

    def _face(self, bone: Mask) -> Mask:
        """Close the joint, foramina and grooves."""
        grown = self._away(bone, CLOSING_MM) <= CLOSING_MM
        closed: Mask = self._away(~grown, CLOSING_MM) > CLOSING_MM
        return closed | bone

    def _before(self, face: Mask) -> Mask:
        """Where the way out of the bone points forward."""
        spacing = self.grid.spacing_zyx_mm
        blurred = ndi.gaussian_filter(face.astype(np.float32), SMOOTHING_MM / spacing, truncate=4.0)
        outward = -np.stack(np.gradient(blurred, *spacing.tolist()), axis=-1)
        outward /= np.maximum(np.linalg.norm(outward, axis=-1, keepdims=True), 1e-9)
        forward = -(self.grid.directions_lps @ self.frame.posterior_lps)
        before: Mask = outward @ forward.astype(np.float32) >= FACING
        return before

    def vessels(self, hu: NDArray[np.int16]) -> Mask:
        """Bright runs near the sacrum and clear of bones: vessels with contrast medium, and bowel with it."""
        blurred = ndi.gaussian_filter(hu.astype(np.float32), 1.0, truncate=2.0)
        bright = blurred > self.config.contrast_hu
        bright &= self._away(self.bone | (blurred > BONE_HU), OFF_BONE_MM) > OFF_BONE_MM
        bright &= self._away(self.sacrum, VESSEL_REACH_MM) <= VESSEL_REACH_MM
        # what has spine or disc in front of it are arches and facets that the labels leave out
        bright &= ~self._behind(self._face(self.sacrum | self.lumbar))
        inward = self._away(~bright, THICKEST_MM)
        core = inward > THINNEST_MM
        parts = cc3d.connected_components(bright & (self._away(core, 2 * STEP_MM) <= 2 * STEP_MM), connectivity=6)
        sizes = np.bincount(parts.ravel()) * float(np.prod(self.grid.spacing_zyx_mm))
        # what is thicker is a bladder, bowel, or bone without a label
        sizes[np.unique(parts[inward > THICKEST_MM])] = 0.0
        sizes[0] = 0.0
        found: Mask = sizes[parts] >= VESSEL_MM3
        return found

    def _behind(self, mask: Mask) -> Mask:
        """Find what lies in a mask or behind it, along the array's axis that is nearest to backward."""
        backward = self.grid.directions_lps @ self.frame.posterior_lps
        axis = int(np.abs(backward).argmax())
        way = slice(None, None, 1 if backward[axis] > 0 else -1)
        turned = tuple(way if a == axis else slice(None) for a in range(3))
        behind: Mask = np.logical_or.accumulate(mask[turned], axis=axis)[turned]
        return behind

    def round_places(self, places_lps: list[NDArray[np.float64]]) -> Mask:
        """Free places near any of some points."""
        mask = np.zeros(self.free.shape, bool)
        radius = self.config.gluteal_mm
        for place in places_lps:
            if not self.grid.contains(place):
                continue
            box = self.grid.box_around(place, radius)
            index = np.moveaxis(np.indices(self.grid.crop(box).shape_zyx), 0, -1)
            mask[box] |= np.linalg.norm(self.grid.crop(box).to_lps(index) - place, axis=-1) <= radius
        return mask & self.free
