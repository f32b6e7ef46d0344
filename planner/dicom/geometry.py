"""The stack that slices form: their order, their grid, and what is wrong with them.

Slices are sorted along their common normal ``n = row x column`` (PS3.3 C.7.6.2.1.1); file names, instance numbers and
SliceLocation play no part. A defect is a value, `Flaw`, so that a series can be described without being read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.dicom.headers import Slice
from planner.errors import GeometryError, InputRefusedError
from planner.grid import Grid

__all__ = ["Flaw", "Stack", "arrange", "flaws"]

MIN_SLICES = 2
"""Fewest slices that have a spacing."""
COSINE_TOLERANCE = 1e-3
"""Largest difference between direction cosines that are called equal [P]: 0.06 degrees, as text rounds them."""
PIXEL_SPACING_TOLERANCE_MM = 1e-4
"""Largest difference between pixel spacings that are called equal [P]."""
DUPLICATE_MM = 0.01
"""Slices closer than this lie at one place [P]."""
EVEN_TOLERANCE_MM = 0.06
"""Largest distance of a slice from its even place [P]: positions written with one decimal are off by 0.05 mm."""
MISSING_RATIO = 1.5
"""A gap of at least this many usual gaps lacks a slice [P]."""
LATERAL_TOLERANCE_MM = 0.1
"""Largest sideways drift of slices over the whole stack [P]; above it the gantry was tilted or slices were shifted."""
LEAST_TILT_DEG = 0.05
"""With less the gantry stood upright, and slices that lie aside were shifted [P]."""
GRID_DECIMALS = 6
"""Decimals to which the origin and the slice distance are rounded, mm: finer than any scanner writes them."""

RESAMPLE = "Export the series again without gaps, or accept resampling with --resample."


@dataclass(frozen=True)
class Flaw:
    """Why a series is not read: a kind that names no file, for lists, and the error that names it.

    Attributes
    ----------
    kind : str
        Two or three words, for example ``missing slices``.
    error : InputRefusedError
        What is raised where nothing better is found.
    resampling_helps : bool
        Whether the series can be read after all, onto an even grid.
    """

    kind: str
    error: InputRefusedError
    resampling_helps: bool = False


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices of one size and orientation, sorted along their normal.

    Attributes
    ----------
    slices : tuple of Slice
        By growing depth.
    axes_lps : (3, 3) float64 array
        Rows: unit vectors along the normal, down the columns, along the rows.
    depths_mm : (n,) float64 array
        Position of each slice along the normal.
    lateral_mm : (n, 2) float64 array
        Shift of each slice against the first, down the columns and along the rows.
    """

    slices: tuple[Slice, ...]
    axes_lps: NDArray[np.float64]
    depths_mm: NDArray[np.float64]
    lateral_mm: NDArray[np.float64]

    @property
    def gaps_mm(self) -> NDArray[np.float64]:
        """Distances between neighbouring slices."""
        gaps: NDArray[np.float64] = np.diff(self.depths_mm)
        return gaps

    @property
    def gap_mm(self) -> float:
        """The usual gap: the median of those that are not duplicates."""
        gaps = self.gaps_mm[self.gaps_mm > DUPLICATE_MM]
        return float(np.median(gaps)) if gaps.size else 0.0

    @property
    def pixel_spacing_mm(self) -> tuple[float, float]:
        """Between rows, between columns."""
        spacing = self.slices[0].spacing_mm
        assert spacing is not None  # `arrange` lets no other slice in
        return spacing

    @property
    def shape_yx(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.slices[0].instance.rows, self.slices[0].instance.columns

    def grid(self, count: int, gap_mm: float, shift_mm: Sequence[float] = (0.0, 0.0)) -> Grid:
        """Upright grid of `count` slices from the first one on, its in-plane origin shifted."""
        spacing = np.array([round(gap_mm, GRID_DECIMALS), *self.pixel_spacing_mm])
        origin = np.array(self.slices[0].position_lps) + np.asarray(shift_mm) @ self.axes_lps[1:]
        matrix = np.eye(4)
        matrix[:3, :3] = (self.axes_lps * spacing[:, None]).T
        matrix[:3, 3] = np.round(origin, GRID_DECIMALS)
        return Grid((count, *self.shape_yx), matrix)

    def even_grid(self) -> Grid:
        """Grid of a stack that has no flaw."""
        count = len(self.slices)
        return self.grid(count, float(self.depths_mm[-1] - self.depths_mm[0]) / (count - 1))

    def tilt_deg(self) -> float:
        """Angle between the way the slices advance and their normal."""
        drift = self.lateral_mm[-1] - self.lateral_mm[0]
        return float(np.degrees(np.arctan2(np.linalg.norm(drift), self.depths_mm[-1] - self.depths_mm[0])))

    def without(self, dropped: set[int]) -> Stack:
        """Drop the slices of these indices."""
        keep = [k for k in range(len(self.slices)) if k not in dropped]
        slices = tuple(self.slices[k] for k in keep)
        return Stack(slices, self.axes_lps, self.depths_mm[keep], self.lateral_mm[keep] - self.lateral_mm[keep[0]])


def arrange(slices: Sequence[Slice]) -> Stack | Flaw:
    """Sort slices into a stack, or say why they form none."""
    ordered = sorted(slices, key=lambda s: (s.instance.file, s.frame))
    flaw = _too_few(ordered) or _without_geometry(ordered) or _mixed(ordered)
    if flaw is not None:
        return flaw
    axes = _axes(ordered[0])
    positions = np.array([s.position_lps for s in ordered], dtype=np.float64) @ axes.T
    order = np.argsort(positions[:, 0], kind="stable")
    lateral = positions[order, 1:] - positions[order[0], 1:]
    return Stack(tuple(ordered[k] for k in order), axes, positions[order, 0], lateral)


def flaws(stack: Stack) -> Iterator[Flaw]:
    """Every defect of a stack, worst first."""
    found = (_duplicate(stack), _missing(stack), _tilted(stack), _uneven(stack))
    return (flaw for flaw in found if flaw is not None)


def _axes(item: Slice) -> NDArray[np.float64]:
    row = np.array(item.row_lps) / np.linalg.norm(item.row_lps or ())
    column = np.array(item.column_lps)
    column = column - (column @ row) * row
    column /= np.linalg.norm(column)
    return np.array([np.cross(row, column), column, row]) + 0.0


def _too_few(slices: Sequence[Slice]) -> Flaw | None:
    if len(slices) >= MIN_SLICES:
        return None
    what = f"{slices[0].label}: found a series of {len(slices)} slice, expected at least {MIN_SLICES}."
    return Flaw("single slice", GeometryError(what, "Give the folder that holds the whole series."))


def _without_geometry(slices: Sequence[Slice]) -> Flaw | None:
    for item in slices:
        missing = _missing_attribute(item)
        if missing is not None:
            expected = "an image with a position, an orientation and a spacing in mm"
            what = f"{item.label}: found {missing}, expected {expected}."
            return Flaw("no geometry", GeometryError(what, "Export the original images again."))
    return None


def _missing_attribute(item: Slice) -> str | None:
    if min(item.instance.rows, item.instance.columns) < 1:
        return f"{item.instance.rows} rows and {item.instance.columns} columns"
    if item.position_lps is None:
        return "no ImagePositionPatient"
    if item.row_lps is None or item.column_lps is None:
        return "no ImageOrientationPatient"
    if item.spacing_mm is None or min(item.spacing_mm) <= 0:
        return f"PixelSpacing {item.spacing_mm}"
    cosines = np.array([item.row_lps, item.column_lps])
    if np.abs(cosines @ cosines.T - np.eye(2)).max() > COSINE_TOLERANCE:
        return "an ImageOrientationPatient that is not two unit vectors at right angles"
    return None


def _mixed(slices: Sequence[Slice]) -> Flaw | None:
    return (
        _odd_one(slices, "mixed sizes", [(s.instance.rows, s.instance.columns) for s in slices], 0.5, "size")
        or _odd_one(slices, "mixed orientations", [(*(s.row_lps or ()), *(s.column_lps or ())) for s in slices],
                    COSINE_TOLERANCE, "orientation")
        or _odd_one(slices, "mixed pixel spacings", [s.spacing_mm or () for s in slices],
                    PIXEL_SPACING_TOLERANCE_MM, "pixel spacing")
    )  # fmt: skip


def _odd_one(
    slices: Sequence[Slice], kind: str, values: Sequence[tuple[float, ...]], tolerance: float, word: str
) -> Flaw | None:
    usual = Counter(values).most_common(1)[0][0]
    for item, value in zip(slices, values, strict=True):
        if np.abs(np.subtract(value, usual)).max() > tolerance:
            found = f"{item.label}: found {word} {_listed(value)}, expected {_listed(usual)} as in the other slices."
            return Flaw(
                kind, GeometryError(f"{kind.capitalize()}: {found}", "Put each series into a folder of its own.")
            )
    return None


def _listed(values: Sequence[float]) -> str:
    return " x ".join(f"{value:g}" for value in values)


def _duplicate(stack: Stack) -> Flaw | None:
    places = np.flatnonzero(stack.gaps_mm <= DUPLICATE_MM)
    if not places.size:
        return None
    first, second = stack.slices[places[0]], stack.slices[places[0] + 1]
    what = (
        f"Duplicate slices: {second.label} lies at {_depth(stack, places[0] + 1)}, where {first.label} lies; "
        f"found {places.size} such pairs, expected one slice a place."
    )
    remedy = "Remove the copies or split the phases, or drop identical copies with --resample."
    return Flaw("duplicate slices", GeometryError(what, remedy), resampling_helps=True)


def _missing(stack: Stack) -> Flaw | None:
    wide = np.flatnonzero(stack.gaps_mm >= MISSING_RATIO * stack.gap_mm)
    if not wide.size or stack.gap_mm == 0:
        return None
    first = wide[0]
    lacking = int(np.sum(np.round(stack.gaps_mm[wide] / stack.gap_mm) - 1))
    what = (
        f"Missing slices: found a gap of {stack.gaps_mm[first]:.2f} mm between {stack.slices[first].label} and "
        f"{stack.slices[first + 1].label}, expected {stack.gap_mm:.2f} mm; about {lacking} missing in all."
    )
    return Flaw("missing slices", GeometryError(what, RESAMPLE), resampling_helps=True)


def _tilted(stack: Stack) -> Flaw | None:
    drift = np.linalg.norm(stack.lateral_mm, axis=1)
    worst = int(np.argmax(drift))
    if drift[worst] <= LATERAL_TOLERANCE_MM:
        return None
    tilt_deg = stack.tilt_deg()
    name = "Gantry tilt" if tilt_deg >= LEAST_TILT_DEG else "Slices aside"
    what = (
        f"{name}: found slices that advance {tilt_deg:.2f} degrees off their normal "
        f"({stack.slices[worst].label} lies {drift[worst]:.2f} mm aside), expected 0 degrees "
        f"(at most {LATERAL_TOLERANCE_MM} mm aside)."
    )
    return Flaw(name.lower(), GeometryError(what, "Accept resampling with --resample."), resampling_helps=True)


def _uneven(stack: Stack) -> Flaw | None:
    line = np.linspace(stack.depths_mm[0], stack.depths_mm[-1], len(stack.slices))
    if np.abs(stack.depths_mm - line).max() <= EVEN_TOLERANCE_MM:
        return None
    residual = stack.depths_mm - np.arange(len(stack.slices)) * stack.gap_mm
    residual = residual - np.median(residual)
    worst = int(np.argmax(np.abs(residual)))
    what = (
        f"Uneven slices: {stack.slices[worst].label}: found {residual[worst]:+.2f} mm from its even place, "
        f"expected at most {EVEN_TOLERANCE_MM} mm; gaps of {stack.gaps_mm.min():.2f} to {stack.gaps_mm.max():.2f} mm."
    )
    return Flaw("uneven slices", GeometryError(what, RESAMPLE), resampling_helps=True)


def _depth(stack: Stack, index: int) -> str:
    return f"{stack.depths_mm[index]:.2f} mm along the stack"
