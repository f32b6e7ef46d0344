"""Values that the keep-out stage gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from planner.findings import Finding
from planner.labels import Keepout, Side
from planner.volume import Box, LabelMap

__all__ = ["Foramen", "Keepouts"]


@dataclass(frozen=True, eq=False)
class Foramen:
    """One mouth of a sacral foramen.

    Attributes
    ----------
    side : Side
        The patient's side.
    level : str
        ``S1`` to ``S4``.
    aspect : str
        ``ventral`` or ``dorsal``.
    centre_lps : (3,) float64 array
        Centre of the mouth.
    width_mm : float
        Smallest diameter of the mouth.
    confidence : float
        0-1; a foramen that is not found is left out, never invented.
    axis_lps : (n, 3) float64 array
        Centre line of the channel from the mouth inward, as far as it has sections of its own; empty if not followed.
    """

    side: Side
    level: str
    aspect: str
    centre_lps: NDArray[np.float64]
    width_mm: float
    confidence: float
    axis_lps: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))


@dataclass(frozen=True, eq=False)
class Keepouts:
    """Where no instrument may go.

    Attributes
    ----------
    mask : LabelMap
        `planner.labels.Keepout` and `planner.labels.foramen_value` values on the bones' grid.
    foramina : tuple of Foramen
        The mouths found.
    canal_lps : (n, 3) float64 array
        Centre line of the sacral canal, cranial first; empty if not found.
    findings : tuple of Finding
        ``foramen-not-found`` (a missing S1-S3 makes the side unverified), ``foramen-filled`` (by the labels, not in the
        image), ``transitional-vertebra``.
    soft_ml : mapping of str to float
        Volume of each kind of soft keep-out (`planner.keepout.soft.SoftTissue`), ml.
    """

    mask: LabelMap
    foramina: tuple[Foramen, ...]
    canal_lps: NDArray[np.float64]
    findings: tuple[Finding, ...] = ()
    soft_ml: Mapping[str, float] = field(default_factory=dict)

    def neural(self, box: Box) -> NDArray[np.bool_]:
        """Canal and foramina in a box of the mask: what a neural clearance is measured to."""
        values = self.mask.values[box]
        return np.asarray((values != Keepout.NONE) & (values != Keepout.SOFT))

    def soft(self, box: Box) -> NDArray[np.bool_]:
        """Soft keep-outs in a box of the mask."""
        return np.asarray(self.mask.values[box] == Keepout.SOFT)

    def missing(self, side: Side, levels: tuple[str, ...] = ("S1", "S2", "S3")) -> tuple[str, ...]:
        """Names such as ``"S2 ventral"`` of the mouths of `side` that were not found."""
        found = {(f.level, f.aspect) for f in self.foramina if f.side is side}
        return tuple(
            f"{level} {aspect}" for level in levels for aspect in ("ventral", "dorsal") if (level, aspect) not in found
        )
