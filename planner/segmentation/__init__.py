"""Bones: a statistical shape model of the pelvis finds them, the image draws them."""

from planner.segmentation.model import BONE_NAMES, Bones, PelvicFrame, PelvisPose, ShapeFit
from planner.segmentation.shape_model import ShapeModel, load_shape_model

__all__ = ["BONE_NAMES", "Bones", "PelvicFrame", "PelvisPose", "ShapeFit", "ShapeModel", "load_shape_model"]
