"""DICOM CT in: sources, headers, series, geometry, pixels."""

from planner.dicom.reader import DicomScan, list_dicom, read_dicom
from planner.dicom.series import SeriesReport
from planner.dicom.study import DicomOrigin, SourceStudy, read_study

__all__ = ["DicomOrigin", "DicomScan", "SeriesReport", "SourceStudy", "list_dicom", "read_dicom", "read_study"]
