"""Bones: a statistical shape model of the pelvis finds them, the image draws them."""

from planner.segmentation.bearings import Bearings, find_bearings
from planner.segmentation.config import SegmentationConfig
from planner.segmentation.density import density_findings, s1_trabecular_hu
from planner.segmentation.dysmorphism import dysmorphism_findings
from planner.segmentation.given import bones_from_labels
from planner.segmentation.locate import locate_pelvis
from planner.segmentation.model import BONE_NAMES, Bones, PelvicFrame, PelvisPose, ShapeFit
from planner.segmentation.segment import crop_box, segment_bones
from planner.segmentation.shape_model import ShapeModel, load_shape_model
from planner.segmentation.thinning import Thinned, thin, thin_cells
from planner.segmentation.transition import transition_findings

__all__ = [
    "BONE_NAMES",
    "Bearings",
    "Bones",
    "PelvicFrame",
    "PelvisPose",
    "SegmentationConfig",
    "ShapeFit",
    "ShapeModel",
    "Thinned",
    "bones_from_labels",
    "crop_box",
    "density_findings",
    "dysmorphism_findings",
    "find_bearings",
    "load_shape_model",
    "locate_pelvis",
    "s1_trabecular_hu",
    "segment_bones",
    "thin",
    "thin_cells",
    "transition_findings",
]
