"""DICOM objects of a plan, in the study of its CT."""

from planner.exports.dicom.write import write_dicom

__all__ = ["write_dicom"]
