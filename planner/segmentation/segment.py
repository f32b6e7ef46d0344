"""The bone stage: from a located pelvis to labels, frame and landmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.grid import Grid
from planner.labels import Side
from planner.segmentation.config import SegmentationConfig
from planner.segmentation.fit import fit_shape
from planner.segmentation.freeform import Surfaces, draw_surfaces
from planner.segmentation.model import Bones, PelvicFrame, PelvisPose, ShapeFit
from planner.segmentation.quality import judge_bones
from planner.segmentation.shape_model import ShapeModel
from planner.segmentation.voxels import Places, label_voxels
from planner.volume import Box, LabelMap, Volume

__all__ = ["crop_box", "pelvic_frame", "segment_bones"]

MARGIN_MM = 25.0
"""Kept round the located mean shape: its error, the width of other people, and the skin side of the bones [P]."""

TAIL_MM = 60.0
"""The coccyx reaches this far behind and below the model's sacrum at most [P]."""

SKIN_MM = 75.0
"""Kept behind the PSIS besides the margin, so that the skin is in the box where it is in the scan [P]."""

LUMBAR_MM = 60.0
"""Kept above the S1 endplate: L5 [P]."""


def crop_box(grid: Grid, pose: PelvisPose, model: ShapeModel) -> Box:
    """Box of the pelvis in a canonical grid: what `segment_bones` needs to see.

    Raises
    ------
    ValueError
        If the pose lies outside the grid.
    """
    points = model.mean @ pose.lps_from_model[:3, :3].T + pose.lps_from_model[:3, 3]
    places = model.landmarks_on(points)
    up = pose.lps_from_model[:3, 2] / np.linalg.norm(pose.lps_from_model[:3, 2])
    back = pose.lps_from_model[:3, 1] / np.linalg.norm(pose.lps_from_model[:3, 1])
    cut = points[model.regions["sacrum_cut"]].mean(axis=0)
    skin = places["left_psis"] + SKIN_MM * back
    extra = np.array([places["s1_endplate_centre"] + LUMBAR_MM * up, cut + TAIL_MM * (back - up), skin])
    return grid.box_around(np.vstack([points, extra]), MARGIN_MM)


def segment_bones(
    volume: Volume, pose: PelvisPose, model: ShapeModel, config: SegmentationConfig | None = None
) -> Bones:
    """Label the bones of a canonical volume that is cropped to the pelvis.

    Parameters
    ----------
    volume : Volume
        Axes cranial, posterior, left; see `crop_box`.
    pose : PelvisPose
        From `planner.segmentation.locate.locate_pelvis`.
    model : ShapeModel
        The shape model that the pose belongs to.
    config : SegmentationConfig, optional
        Thresholds.

    Returns
    -------
    Bones
        On the volume's grid.
    """
    settings = config or SegmentationConfig()
    fit = fit_shape(volume, pose, model)
    surfaces = draw_surfaces(volume, dict(fit.vertices_lps), model)
    frame = pelvic_frame(fit)
    labels = LabelMap(label_voxels(volume, surfaces, places(fit, surfaces, frame, model), settings), volume.grid)
    return judge_bones(volume, Bones(labels, fit, frame, {}), model, settings)


def pelvic_frame(fit: ShapeFit) -> PelvicFrame:
    """Rigid part of the fitted similarity."""
    matrix = fit.lps_from_model.copy()
    matrix[:3, :3] /= np.cbrt(np.linalg.det(matrix[:3, :3]))
    return PelvicFrame(matrix)


def places(fit: ShapeFit, surfaces: Surfaces, frame: PelvicFrame, model: ShapeModel) -> Places:
    """Where the fitted shape expects its neighbours."""

    def region(name: str, bone: str) -> NDArray[np.float64]:
        points: NDArray[np.float64] = surfaces.vertices[bone][model.regions[name] - model.span(bone).start]
        return points

    return Places(
        frame=frame,
        sockets={side: region(f"{side}_acetabulum", f"{side}_hip") for side in Side},
        endplate_lps=fit.landmarks_lps["s1_endplate_centre"],
        cut_lps=region("sacrum_cut", "sacrum").mean(axis=0),
    )
