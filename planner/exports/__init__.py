"""Results in the formats of other programs: 3D Slicer, surfaces, DICOM."""

from planner.exports.config import ExportConfig
from planner.exports.write import ExportCase, write_exports

__all__ = ["ExportCase", "ExportConfig", "write_exports"]
