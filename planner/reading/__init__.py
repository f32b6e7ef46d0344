"""A scan from any supported file: cells of the whole, Hounsfield units where asked for, or one clear refusal."""

from planner.dicom import SeriesReport
from planner.reading.model import Scan
from planner.reading.scan import list_series, read_scan, scan_of

__all__ = ["Scan", "SeriesReport", "list_series", "read_scan", "scan_of"]
