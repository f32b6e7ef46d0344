"""The sacroiliac joint: mid-surface, gap, zones, thirds."""

from planner.joint.config import JointConfig
from planner.joint.extract import extract_joint
from planner.joint.findings import anterior_gap_mm, side_difference_findings
from planner.joint.lines import anterior_margin_lps, dorsal_mouth_at, dorsal_mouth_lps, joint_line, joint_line_by_zone
from planner.joint.measures import JointMeasures, measure_joint
from planner.joint.model import Joint, Third, Thirds, Zone
from planner.joint.ply import read_joint_ply, write_joint_ply

__all__ = [
    "Joint",
    "JointConfig",
    "JointMeasures",
    "Third",
    "Thirds",
    "Zone",
    "anterior_gap_mm",
    "anterior_margin_lps",
    "dorsal_mouth_at",
    "dorsal_mouth_lps",
    "extract_joint",
    "joint_line",
    "joint_line_by_zone",
    "measure_joint",
    "read_joint_ply",
    "side_difference_findings",
    "write_joint_ply",
]
