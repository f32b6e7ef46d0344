"""Results in the formats of other programs: 3D Slicer, surfaces, DICOM."""

from planner.exports.config import ExportConfig
from planner.exports.write import ExportCase, export_jobs, write_exports, write_study_objects

__all__ = ["ExportCase", "ExportConfig", "export_jobs", "write_exports", "write_study_objects"]
