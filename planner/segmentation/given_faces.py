"""The joints' faces of labels that someone else drew, drawn anew on the image as those of our own labels are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.grid import Grid
from planner.labels import Label, Side
from planner.segmentation.fit import fit_again
from planner.segmentation.freeform import draw_surfaces
from planner.segmentation.model import ShapeFit
from planner.segmentation.shape_model import ShapeModel
from planner.segmentation.shapes import away_from
from planner.segmentation.voxels import enclosed
from planner.volume import Box, LabelMap, Volume

__all__ = ["with_drawn_faces"]

JOINT_MM = 8.0
"""Faces are drawn where sacrum and hip bone are together nearer than this [P]."""

TRUST_MM = 3.0
"""A drawn face farther than this from the given one is not believed [P]: a fracture, or anatomy the model lacks."""

MARGIN_MM = 10.0
"""Round the fitted joint [P]."""

Mask = NDArray[np.bool_]


def with_drawn_faces(volume: Volume, labels: LabelMap, fit: ShapeFit, model: ShapeModel) -> LabelMap:
    """Put the joints' faces where the image shows them.

    Labels of other programs are made on coarser grids (1.5 or 3 mm) and come in steps, or lie a voxel aside; the
    joint's profiles mend no more than about a millimetre. Bones away from the joints stay as they were given.

    Parameters
    ----------
    volume : Volume
        Canonical.
    labels : LabelMap
        `planner.labels.Label` values on the same grid.
    fit : ShapeFit
        The shape model, fitted to the labels: where drawing starts.
    model : ShapeModel
        That model.
    """
    start = fit_again(volume, fit, model)  # the labels may lie aside of the bones
    drawn = enclosed(draw_surfaces(volume, dict(start.vertices_lps), model), labels.grid)
    values = labels.values.copy()
    for side in Side:
        box = _joint_box(labels.grid, fit, model, side)
        if box is not None and (values[box] == side.hip).any() and (values[box] == Label.SACRUM).any():
            _mend(values[box], drawn[box], side.hip, labels.grid.crop(box))
    return LabelMap(values, labels.grid)


def _mend(given: NDArray[np.uint8], drawn: NDArray[np.uint8], hip: Label, grid: Grid) -> None:
    """Take the drawn labels, in place, near both bones and near the given outlines."""
    pair = (Label.SACRUM, hip)
    near: Mask = away_from(drawn == Label.SACRUM, grid, JOINT_MM) + away_from(drawn == hip, grid, JOINT_MM) < JOINT_MM
    changes = near & (given != drawn) & np.isin(given, (0, *pair)) & np.isin(drawn, (0, *pair))
    for bone in pair:
        depth = np.maximum(*(away_from(side, grid, TRUST_MM + 1.0) for side in (given == bone, given != bone)))
        changes &= (depth <= TRUST_MM) | ((given != bone) & (drawn != bone))
    given[changes] = drawn[changes]


def _joint_box(grid: Grid, fit: ShapeFit, model: ShapeModel, side: Side) -> Box | None:
    """Box of a fitted joint; None where it lies outside the scan."""
    region = model.regions[f"{side}_auricular_hip"] - model.span(f"{side}_hip").start
    try:
        return grid.box_around(fit.vertices_lps[f"{side}_hip"][region], MARGIN_MM)
    except ValueError:
        return None
