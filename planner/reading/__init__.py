"""A scan from any supported file: Hounsfield units on the input's own grid, or one clear refusal."""

from planner.dicom import SeriesReport
from planner.reading.scan import list_series, read_scan

__all__ = ["SeriesReport", "list_series", "read_scan"]
