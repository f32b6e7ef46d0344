"""Why a candidate is proposed, in a sentence: what it has over the others, what binds it, what costs it most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from planner.trajectory.model import Candidate

__all__ = ["with_reasons"]

WORDS = {
    "clearance": "clearance",
    "coplanar": "alignment with the joint",
    "articular": "share in the articular zone",
    "middle_third": "place in the middle third",
    "bite": "even bite into both bones",
    "bone_quality": "bone quality",
    "entry_radius": "room for the entry",
}
"""The score's terms as a reader calls them."""

TELLING = 0.005
"""Differences of the score below this are not mentioned."""


def with_reasons(candidates: Sequence[Candidate], weights: Mapping[str, float]) -> tuple[Candidate, ...]:
    """Copy candidates, best first, each with the sentence that says why it is there."""
    return tuple(
        replace(one, why=f"{_standing(rank, one, candidates, weights)} {_limits(one, weights)}")
        for rank, one in enumerate(candidates)
    )


def _standing(rank: int, one: Candidate, candidates: Sequence[Candidate], weights: Mapping[str, float]) -> str:
    if len(candidates) == 1:
        return f"The only path found, score {one.score:.3f}."
    if rank:
        gains, losses = _differences(one, candidates[0], weights)
        return f"Best of what is 5 mm or 5 degrees from those before it; against the first it {_both(gains, losses)}."
    gains, losses = _differences(one, candidates[1], weights)
    if one.score < candidates[1].score:
        return "Scores as high as the second within the tolerance, and is larger or has more clearance."
    return f"Highest score; against the second it {_both(gains, losses)}."


def _differences(one: Candidate, other: Candidate, weights: Mapping[str, float]) -> tuple[list[str], list[str]]:
    """Terms by which one candidate is ahead of another, and behind, most first."""
    by = {name: weights[name] * (one.terms[name] - other.terms[name]) for name in WORDS}
    order = sorted(by, key=lambda name: -abs(by[name]))
    gains = [f"{WORDS[name]} ({by[name]:+.3f})" for name in order if by[name] >= TELLING]
    losses = [f"{WORDS[name]} ({by[name]:+.3f})" for name in order if by[name] <= -TELLING]
    return gains, losses


def _both(gains: list[str], losses: list[str]) -> str:
    parts = [f"gains {', '.join(gains)}" if gains else "", f"gives away {', '.join(losses)}" if losses else ""]
    return " and ".join(part for part in parts if part) or "scores alike in every term"


def _limits(one: Candidate, weights: Mapping[str, float]) -> str:
    lost = {name: weights[name] * (1 - one.terms[name]) for name in WORDS}
    worst = max(lost, key=lambda name: lost[name])
    binds = f"Bound by {one.binding}, {one.binding_slack_mm:.1f} mm to spare"
    return f"{binds}; {WORDS[worst]} costs it most (-{lost[worst]:.3f})." if lost[worst] >= TELLING else f"{binds}."
