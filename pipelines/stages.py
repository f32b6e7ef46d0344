"""Stages by name and cost: `planner.stages`."""

from planner.stages import StageLog, StageRecord, peak_rss_mb

__all__ = ["StageLog", "StageRecord", "peak_rss_mb"]
