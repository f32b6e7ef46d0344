"""One review: which side and candidate is looked at, what was changed, what was decided. It knows nothing of Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_sacroplan.placement import Placement
from napari_sacroplan.recheck import Checked, Checker, Checkers, make_checker
from napari_sacroplan.reopen import ReviewedCase
from planner.decisions import Decision, Entry, Verdict, append, last_decisions, read_record
from planner.errors import ConfigError
from planner.joint.model import Third
from planner.labels import Side
from planner.plan import CandidateDocument, SideDocument
from planner.trajectory.config import Constraints

__all__ = ["History", "Session"]

Key = tuple[Side, int]

LAST_CHECK = "last-check"
"""Stands for a constraint that only the planner's last, exact check finds broken."""


@dataclass
class History:
    """Placements of one candidate, and where in them the hand is."""

    steps: list[Placement]
    at: int = 0

    @property
    def now(self) -> Placement:
        """The placement shown."""
        return self.steps[self.at]

    def add(self, placement: Placement) -> None:
        """Go on from here; what was undone is forgotten."""
        del self.steps[self.at + 1 :]
        self.steps.append(placement)
        self.at += 1

    def undo(self) -> bool:
        """Go a step back; whether there was one."""
        moved = self.at > 0
        self.at -= moved
        return moved

    def redo(self) -> bool:
        """Go a step forward again; whether there was one."""
        moved = self.at + 1 < len(self.steps)
        self.at += moved
        return moved


@dataclass
class Session:
    """A case under review.

    Attributes
    ----------
    case : ReviewedCase
        What is reviewed.
    side : Side
        Looked at now.
    rank : int
        Candidate looked at, from 1.
    name : str
        Who decides.
    cursor_lps : (3,) float64 array
        Crosshair.
    locked : bool
        No hand moves the implant.
    checkers : dict
        What placements are held against, by side; what is not given is made when it is first asked for.
    changed : callable
        Told after every change of placement, side or candidate.
    """

    case: ReviewedCase
    side: Side = Side.LEFT
    rank: int = 1
    name: str = ""
    cursor_lps: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    locked: bool = False
    changed: Callable[[], None] = lambda: None
    _histories: dict[Key, History] = field(default_factory=dict)
    _drag: Placement | None = None
    checkers: Checkers = field(default_factory=dict)
    _limits: dict[str, float] = field(default_factory=dict)
    _third: Third = Third.MIDDLE
    repainted: tuple[str, ...] = ()
    _last: tuple[Placement, Checker, Checked] | None = None

    def __post_init__(self) -> None:
        if not self.document.candidates and self.case.plan.sides[self.other.value].candidates:
            self.side = self.other
        self.to_implant()

    @property
    def other(self) -> Side:
        """The side that is not looked at."""
        return Side.RIGHT if self.side is Side.LEFT else Side.LEFT

    @property
    def document(self) -> SideDocument:
        """The plan of the side."""
        return self.case.plan.sides[self.side.value]

    @property
    def candidate(self) -> CandidateDocument | None:
        """As proposed; None where nothing is."""
        found = self.document.candidates
        return found[self.rank - 1] if self.rank <= len(found) else None

    @property
    def history(self) -> History | None:
        """Of the candidate; None where nothing is proposed."""
        if self.candidate is None:
            return None
        return self._histories.setdefault((self.side, self.rank), History([Placement.of(self.candidate)]))

    @property
    def placement(self) -> Placement | None:
        """What is shown: a drag in progress, or the last step."""
        history = self.history
        return self._drag or (history.now if history else None)

    @property
    def proposal(self) -> Placement | None:
        """The candidate as proposed."""
        return self.history.steps[0] if self.history else None

    @property
    def held(self) -> bool:
        """Whether a hand is dragging the implant."""
        return self._drag is not None

    @property
    def edited(self) -> bool:
        """Whether the placement is not the one proposed."""
        history = self.history
        return history is not None and (self._drag is not None or history.now is not history.steps[0])

    def checker(self, side: Side | None = None) -> Checker | None:
        """Give what placements of a side are held against; made when first asked for."""
        side = side or self.side
        if side not in self.checkers:
            self.checkers[side] = self._tuned(make_checker(self.case, side))
        return self.checkers[side]

    def check(self) -> Checked | None:
        """Measure what is shown."""
        placement, checker = self.placement, self.checker()
        if placement is None or checker is None:
            return None
        if self._last is None or self._last[0] is not placement or self._last[1] is not checker:
            self._last = placement, checker, checker.check(placement)
        return self._last[2]

    # what is looked at

    def show(self, side: Side, rank: int = 1) -> None:
        """Look at a side's candidate."""
        self.drop()
        self.side, self.rank = side, max(1, min(rank, len(self.case.plan.sides[side.value].candidates) or 1))
        self.to_implant()
        self.changed()

    def switch_side(self) -> None:
        """Look at the other side."""
        self.show(self.other)

    def next_candidate(self) -> None:
        """Look at the next candidate, after the last at the first."""
        self.show(self.side, self.rank % max(1, len(self.document.candidates)) + 1)

    def look_at(self, point_lps: NDArray[np.float64]) -> None:
        """Move the crosshair."""
        self.cursor_lps = np.asarray(point_lps, np.float64)
        self.changed()

    def to_implant(self) -> None:
        """Move the crosshair to the implant, or to the joint where there is none."""
        joint = self.case.joints.get(self.side)
        if self.placement is not None:
            self.cursor_lps = self.placement.centre_lps
        elif joint is not None and len(joint.vertices_lps):
            self.cursor_lps = joint.vertices_lps.mean(axis=0)

    # what is changed

    def drag(self, placement: Placement) -> None:
        """Show a placement without making it a step: the hand still holds it."""
        if not self.locked and self.history is not None:
            self._drag = placement
            self.changed()

    def drop(self) -> None:
        """Let go: the drag becomes a step."""
        if self._drag is not None and self.history is not None:
            placement, self._drag = self._drag, None
            self.history.add(placement)
            self.changed()

    def place(self, placement: Placement) -> None:
        """Make a placement a step."""
        self.drag(placement)
        self.drop()

    def cancel_drag(self) -> None:
        """Let the implant spring back to where the hand took it."""
        self._drag = None
        self.changed()

    def undo(self) -> None:
        """Go a step back."""
        self.drop()
        if self.history is not None and not self.locked and self.history.undo():
            self.changed()

    def redo(self) -> None:
        """Go a step forward again."""
        if self.history is not None and not self.locked and self.history.redo():
            self.changed()

    def snap_back(self) -> None:
        """Return to the proposal: a step that can be undone."""
        if self.edited and self.proposal is not None:
            self._drag = None
            self.place(self.proposal)

    def toggle_lock(self) -> None:
        """Hold the implant, or free it."""
        self.drop()
        self.locked = not self.locked
        self.changed()

    def resize(self, diameter_mm: float, length_mm: float) -> None:
        """Take another size about the same centre."""
        placement = self.placement
        if placement is not None and placement.size != (diameter_mm, length_mm):
            self.place(placement.with_size(diameter_mm, length_mm))

    def optimise(self) -> None:
        """Climb from here by the planner's own search."""
        placement, checker = self.placement, self.checker()
        if placement is not None and checker is not None and not self.locked:
            self.place(checker.climb(placement))

    def set_limits(self, **limits: float) -> None:
        """Hold placements against other margins, by names of `planner.trajectory.config.Constraints`."""
        usual = self.case.config.trajectory.constraints
        Constraints.model_validate({**usual.model_dump(), **limits})
        self._limits = {name: value for name, value in limits.items() if getattr(usual, name) != value}
        self.checkers = {side: self._tuned(checker) for side, checker in self.checkers.items()}
        self.changed()

    def set_third(self, third: Third) -> None:
        """Aim at another third of the joint."""
        self._third = third
        self.checkers = {side: self._tuned(checker) for side, checker in self.checkers.items()}
        self.changed()

    @property
    def third(self) -> Third:
        """Aimed at."""
        return self._third

    @property
    def limits(self) -> Constraints:
        """Margins that placements are held against."""
        return self.case.config.trajectory.constraints.model_copy(update=self._limits)

    def _tuned(self, checker: Checker | None) -> Checker | None:
        if checker is None:
            return None
        config = self.case.config.trajectory.model_copy(update={"constraints": self.limits})
        return checker.with_limits(config).with_third(self._third)

    def replanned(self, case: ReviewedCase, painted: tuple[str, ...], checkers: Checkers | None = None) -> None:
        """Go on with a case in which something was painted and its dependents planned anew."""
        self.case, self.repainted = case, tuple(dict.fromkeys((*self.repainted, *painted)))
        self._histories.clear()
        self.checkers = {side: self._tuned(checker) for side, checker in (checkers or {}).items()}
        self._drag = None
        self.show(self.side, 1)

    # what is decided

    @property
    def record(self) -> list[Entry]:
        """All decisions of the folder."""
        return read_record(self.case.folder)

    def verdict(self, side: Side | None = None) -> Entry | None:
        """Last decision about a side that is no comment."""
        return last_decisions(self.record).get((side or self.side).value)

    def decide(self, verdict: Verdict, text: str = "") -> Entry:
        """Write a decision about this side down.

        Raises
        ------
        planner.errors.ConfigError
            If no name is given, or the verdict does not go with what the placement measures.
        """
        self.drop()
        if not self.name.strip():
            raise ConfigError("No name is given.", "Enter your name before you decide.")
        try:
            decision = Decision.model_validate({**self.facts(), "verdict": verdict, "text": text})
        except ValueError as error:
            raise ConfigError(_reason(error), "Choose another decision or give the reason.") from error
        entry = append(self.case.folder, decision, self.case.plan_sha256)
        self.changed()
        return entry

    def facts(self) -> dict[str, object]:
        """Say what a decision says of the placement: where it lies, what it measures, breaks and changed."""
        facts: dict[str, object] = {"side": self.side.value, "name": self.name.strip(), "repainted": self.repainted}
        placement, checked = self.placement, self.check()
        if placement is None or self.proposal is None:
            return facts
        broken = self._broken(checked) if checked else {}
        measured = {name: round(c.mm, 3) for name, c in sorted(checked.clearances.items())} if checked else {}
        return facts | {
            "candidate": self.rank,
            "grade": checked.grade if checked else None,
            "entry_lps_mm": tuple(round(float(v), 3) for v in placement.entry_lps),
            "tip_lps_mm": tuple(round(float(v), 3) for v in placement.tip_lps),
            "diameter_mm": placement.diameter_mm,
            "length_mm": placement.length_mm,
            "changed": placement.change_from(self.proposal) if self.edited else {},
            "broken_mm": broken,
            "clearance_mm": measured,
            "limits_changed": self._changed_limits(),
        }

    def _broken(self, checked: Checked) -> dict[str, float]:
        """Constraints broken as they are set now, or as the plan has them: margins that were loosened hide nothing.

        What breaks none by its samples goes through the planner's last check, which measures the way in exactly.
        """
        checker, placement = self.checker(), self.placement
        if checker is None or placement is None:
            return {}
        usual = checker.with_limits(self.case.config.trajectory).with_third(Third.MIDDLE)
        strict = usual.check(placement).slack
        least = {name: min(left, strict[name]) for name, left in checked.slack.items()}
        broken = {name: round(-left, 3) for name, left in least.items() if left < 0}
        if not broken and self.edited and usual.candidate(placement) is None:
            return {LAST_CHECK: 0.0}
        return broken

    def _changed_limits(self) -> dict[str, float]:
        third = {} if self._third is Third.MIDDLE else {"third": float(self._third)}
        return {**self._limits, **third}


def _reason(error: ValueError) -> str:
    details = getattr(error, "errors", None)
    message = str(details()[0]["msg"]) if callable(details) else str(error)
    message = message.removeprefix("Value error, ")
    return message[0].upper() + message[1:].rstrip(".") + "."
