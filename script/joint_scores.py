"""The mid-surface by the independent scoring tool, on the scans that `script/evaluate run` made: a part of the page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import SimpleITK
from accuracy_page import middle_and_worst, number, table

__all__ = ["Scored", "scored_joints", "scores_parts"]

GOAL_MEAN_MM, GOAL_P95_MM, GOAL_COVERED, GOAL_SPACING_MM = 0.4, 1.0, 0.95, 1.05
"""What is asked of the mid-surface, and the slices that it is asked at: 1 mm, however it was rounded."""

GROUPS = ((0.0, "up to 1"), (1.05, "1.25 to 1.5"), (1.75, "2"), (2.5, "3"), (4.0, "5"))
"""Slices from this on, mm, and what they are called."""

TEXT = """## Mid-surface by the independent tool

Scans of `script/evaluate run` with exact truth (surfaces) or an expert's (R2, R4: the bones of real CT), scored by a
tool that shares no code with this project. *Mean*, *95th*: distance of our vertices from the true mid-surface where the
bones are at most 8 mm apart, recess included; *covered*: share of the true mid-surface, bones at most 5 mm apart, with
a vertex within 2 mm. Median and worst joint. *Within*: joints with a mean of at most {mean:g} mm, a 95th percentile of
at most {p95:g} mm and at least {covered:.0%} covered."""


@dataclass(frozen=True)
class Scored:
    """One joint: its scan, the slices there, its side, and the tool's figures."""

    name: str
    slices_mm: float
    side: str
    mean_mm: float
    p95_mm: float
    covered: float

    @property
    def is_within(self) -> bool:
        """Whether it is as good as is asked for."""
        return self.mean_mm <= GOAL_MEAN_MM and self.p95_mm <= GOAL_P95_MM and self.covered >= GOAL_COVERED

    @property
    def group(self) -> int:
        """Which of `GROUPS` its slices are of."""
        return max(k for k, (least_mm, _) in enumerate(GROUPS) if self.slices_mm >= least_mm)


def scored_joints(folder: Path) -> list[Scored]:
    """Read the joints that were scored in the folders of the cases."""
    found = []
    for path in sorted(folder.glob("*/result.json")):
        sides = json.loads(path.read_text(encoding="utf-8")).get("score", {}).get("joint", {})
        slices = _slices_mm(path.parent / "ct.nii.gz") if sides else 0.0
        found += [_scored(path.parent.name, slices, side, row) for side, row in sides.items() if row.get("found")]
    return found


def _scored(name: str, slices_mm: float, side: str, row: Mapping[str, Any]) -> Scored:
    return Scored(name, slices_mm, side, row["mid_error_mm"], row["mid_error_p95_mm"], row.get("coverage_2mm", 0.0))


def _slices_mm(path: Path) -> float:
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return float(reader.GetSpacing()[2])


def scores_parts(joints: Sequence[Scored]) -> Iterator[str]:
    """Lay out the groups of slices, and each joint in thin ones that is not within what is asked for."""
    if not joints:
        return
    yield TEXT.format(mean=GOAL_MEAN_MM, p95=GOAL_P95_MM, covered=GOAL_COVERED)
    yield table(("slices", "scans", "joints", "mean", "95th", "covered", "within"), _groups(joints))
    beyond = [joint for joint in joints if joint.slices_mm <= GOAL_SPACING_MM and not joint.is_within]
    if beyond:
        yield "At up to 1 mm, these are not within:"
        yield table(("scan", "slices", "side", "mean", "95th", "covered"), map(_one, beyond))


def _groups(joints: Sequence[Scored]) -> Iterator[list[str]]:
    for k, (_, name) in enumerate(GROUPS):
        own = [joint for joint in joints if joint.group == k]
        if own:
            yield [
                name,
                str(len({joint.name for joint in own})),
                str(len(own)),
                middle_and_worst([joint.mean_mm for joint in own], 2),
                middle_and_worst([joint.p95_mm for joint in own], 2),
                middle_and_worst([joint.covered for joint in own], 2, high_is_bad=False),
                f"{sum(joint.is_within for joint in own)} of {len(own)}",
            ]


def _one(joint: Scored) -> list[str]:
    figures = (joint.mean_mm, joint.p95_mm, joint.covered)
    return [joint.name, f"{joint.slices_mm:g}", joint.side, *(number(value) for value in figures)]
