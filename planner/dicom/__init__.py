"""DICOM CT in: sources, headers, series, geometry, pixels."""

from planner.dicom.reader import DicomScan, list_dicom, read_dicom
from planner.dicom.series import SeriesReport

__all__ = ["DicomScan", "SeriesReport", "list_dicom", "read_dicom"]
