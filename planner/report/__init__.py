"""The report of a case: ``report.pdf`` to print and ``report.html`` to look around in, both without a network."""

from planner.report.config import ReportConfig
from planner.report.write import ReportCase, write_reports

__all__ = ["ReportCase", "ReportConfig", "write_reports"]
