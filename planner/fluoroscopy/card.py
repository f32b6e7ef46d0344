"""The C-arm card of one side: every view, and what Dall measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from planner.fluoroscopy.config import FluoroscopyConfig
from planner.fluoroscopy.safe_zone import SafeZone, find_safe_zone
from planner.fluoroscopy.views import CArmView, down_view, find_views
from planner.joint.model import Joint
from planner.segmentation.bearings import Bearings
from planner.segmentation.model import Bones
from planner.trajectory.model import Candidate, SidePlan

__all__ = ["CArmCard", "make_card", "with_views"]


@dataclass(frozen=True, eq=False)
class CArmCard:
    """What an operator takes to the C-arm.

    Attributes
    ----------
    views : mapping of name to CArmView
        See `planner.fluoroscopy.views`; the view down the implant is that of the first candidate.
    safe_zone : SafeZone or None
        Of the first candidate; None without one.
    """

    views: Mapping[str, CArmView]
    safe_zone: SafeZone | None = None


def make_card(
    bones: Bones, bearings: Bearings, plan: SidePlan, joint: Joint | None, config: FluoroscopyConfig
) -> CArmCard:
    """Make the card of one side, with a plan or without."""
    views = find_views(bones, bearings, plan.side, joint, config)
    if joint is None or not plan.candidates:
        return CArmCard(views)
    best = plan.candidates[0]
    down = _down(best, bones)
    psis = bearings.landmarks_lps.get(f"{plan.side}_psis")
    return CArmCard({**views, down.name: down}, find_safe_zone(bones, joint, best, psis, config))


def with_views(plan: SidePlan, card: CArmCard, bones: Bones) -> SidePlan:
    """Write all views into the side's candidates, each with the view down its own implant."""

    def turned(candidate: Candidate) -> Candidate:
        down = _down(candidate, bones)
        views = {**card.views, down.name: down}
        return replace(candidate, c_arm={name: view.angles for name, view in views.items()})

    return replace(plan, candidates=tuple(turned(candidate) for candidate in plan.candidates))


def _down(candidate: Candidate, bones: Bones) -> CArmView:
    along = candidate.implant_tip_lps - candidate.implant_entry_lps
    return down_view(along / (along @ along) ** 0.5, bones)
