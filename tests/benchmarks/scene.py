"""What the kernels are timed on: the phantom at 1.5 mm and what is made of it, once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from planner.grid import Grid
from planner.labels import Label
from planner.segmentation import load_shape_model
from planner.volume import LabelMap, Volume
from sample_data import PhantomSpec, make_phantom

__all__ = ["Scene", "scene"]

SPACING_MM = 1.5
BRIGHT_HU = 150


@dataclass(frozen=True, eq=False)
class Scene:
    """Arrays as the stages meet them.

    Attributes
    ----------
    volume, labels : Volume, LabelMap
        The phantom.
    seeds : (z, y, x) uint8 array
        Its bones less two voxels all round.
    bright : (z, y, x) bool array
        Where bone may be.
    vertices_lps, faces : arrays
        A closed hip-like surface: the shape model's left hip bone, in the middle of the volume.
    """

    volume: Volume
    labels: LabelMap
    seeds: NDArray[np.uint8]
    bright: NDArray[np.bool_]
    vertices_lps: NDArray[np.float64]
    faces: NDArray[np.int32]

    @property
    def grid(self) -> Grid:
        return self.volume.grid


@cache
def scene() -> Scene:
    """Make the scene."""
    phantom = make_phantom(PhantomSpec(spacing_zyx_mm=(SPACING_MM,) * 3))
    labels = phantom.labels.values
    core = np.zeros(labels.shape, bool)
    for label in list(Label)[1:]:
        core |= ndimage.binary_erosion(labels == label, iterations=2)
    model = load_shape_model()
    hip = model.split(model.mean)["left_hip"]
    middle = phantom.volume.grid.to_lps((np.array(labels.shape) - 1) / 2)
    return Scene(
        volume=phantom.volume,
        labels=phantom.labels,
        seeds=np.where(core, labels, 0).astype(np.uint8),
        bright=phantom.volume.hu > BRIGHT_HU,
        vertices_lps=hip - hip.mean(axis=0) + middle,
        faces=model.faces_of("left_hip"),
    )
