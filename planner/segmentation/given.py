"""Labels that someone else drew: fit the shape model to them, so that frame and landmarks exist."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from planner.errors import LabelsError
from planner.labels import Label
from planner.segmentation.config import SegmentationConfig
from planner.segmentation.fit import fit_shape
from planner.segmentation.given_faces import with_drawn_faces
from planner.segmentation.locate import locate_pelvis
from planner.segmentation.model import Bones
from planner.segmentation.quality import judge_bones
from planner.segmentation.segment import pelvic_frame
from planner.segmentation.shape_model import ShapeModel
from planner.segmentation.thinning import thin
from planner.volume import LabelMap, Volume

__all__ = ["bones_from_labels"]

DRAWN_HU, REST_HU = 800, 0
"""Grey values of the picture that is made of the labels: solid bone in soft tissue."""


def bones_from_labels(
    volume: Volume, labels: LabelMap, model: ShapeModel, config: SegmentationConfig | None = None
) -> Bones:
    """Fit the model to given labels, and take them as they are but for the joints' faces, which the image shows.

    Parameters
    ----------
    volume : Volume
        Canonical.
    labels : LabelMap
        `planner.labels.Label` values on the same grid.
    model : ShapeModel
        Its fit gives the frame and the landmarks.
    config : SegmentationConfig, optional
        Thresholds of the findings.

    Raises
    ------
    LabelsError
        If the grids differ, or the sacrum or both hip bones are missing.
    NoPelvisError
        If the labels do not look like a pelvis.
    """
    check(volume, labels)
    picture = drawn(labels)
    fit = fit_shape(picture, locate_pelvis(thin(picture), model), model)
    labels = with_drawn_faces(volume, labels, fit, model)
    return judge_bones(volume, Bones(labels, fit, pelvic_frame(fit), {}), model, config or SegmentationConfig())


def check(volume: Volume, labels: LabelMap) -> None:
    """Refuse labels on another grid or without a joint in them."""
    if not labels.grid.same_as(volume.grid):
        raise LabelsError(
            f"the labels' grid {labels.grid.shape_zyx} does not match the scan's {volume.grid.shape_zyx}.",
            "Give labels that were drawn on this scan.",
        )
    present = set(np.unique(labels.values).tolist())
    if Label.SACRUM not in present or not present & {Label.LEFT_HIP, Label.RIGHT_HIP}:
        raise LabelsError(
            f"the labels hold the values {sorted(present)}; 1 (sacrum) and 2 or 3 (hip bones) are needed.",
            "Check the numbering of the labels.",
        )


def drawn(labels: LabelMap) -> Volume:
    """Picture of the pelvis's labels as solid bone, with a dark line where bones touch."""
    pelvis = np.where(labels.values <= Label.RIGHT_HIP, labels.values, 0)
    highest = ndimage.maximum_filter(pelvis, 3)
    lowest = ndimage.minimum_filter(np.where(pelvis > 0, pelvis, 255).astype(np.uint8), 3)
    touching = (pelvis > 0) & (lowest != highest)
    return Volume(np.where((pelvis > 0) & ~touching, DRAWN_HU, REST_HU).astype(np.int16), labels.grid)
