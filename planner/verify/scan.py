"""Checks against the scan itself, where it is given: HU along the path and in the shell, and the skin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from planner.verify.case import Case, Dowel, point
from planner.verify.image import Image
from planner.verify.model import Check
from planner.verify.surface import JointSurface
from planner.verify.surroundings import Poses

__all__ = ["Voxels", "check_hu", "check_scan_grid"]

MARGIN_MM = 8.0
"""Round the path, read of the scan: the shell and the air before the skin lie within."""

HU_STEP_MM, SHELL_MM, STATION_MM, RING = 1.0, 3.0, 2.0, 12
"""Spacing of HU on the axis; thickness of the shell; the shell's mean is that of every second of twelve points round
the implant, half-way through the shell, on rings at most 2 mm apart."""

PATH_HU, SHELL_HU = 3.0, 1.0
"""HU on the axis are whole numbers, at places rounded to a micrometre beside cortex of 1000 HU a millimetre (1.0 is the
most that was found); the mean of some sixty such is surer (0.1)."""

SKIN_HU, BEFORE_MM, BEYOND_MM = -300.0, 1.0, (1.0, 7.0)
"""Body is denser than this, the air before the skin less: so far inside, and over this stretch outside."""

Points = NDArray[np.float64]


class Voxels(Protocol):
    """A scan's voxels, as the readers give them."""

    @property
    def grid(self) -> Any:
        """Shape, and matrix from an index ``(z, y, x)`` to LPS."""
        ...

    def planes(self, indices: Any, window: Any = None) -> Iterator[NDArray[np.int16]]:
        """Cut windows out of planes."""
        ...


@dataclass(frozen=True, eq=False)
class PathOnScan:
    """One candidate, and the scan round its path."""

    dowel: Dowel
    voxels: Voxels

    @property
    def mouth(self) -> Points:
        """Where the axis meets the joint's dorsal mouth."""
        return np.asarray(self.dowel.tip - float(self.dowel.claims["depth_from_bone_mm"]) * self.dowel.direction)

    @cached_property
    def image(self) -> Any:
        """Read the box round the path, in the voxels that were worked on."""
        skin, labels = self.dowel.claims["skin_entry_lps_mm"], self.dowel.case.labels
        ends = np.array([self.dowel.tip, self.mouth, *([] if skin is None else [point(skin)])])
        box = _box(labels, ends, MARGIN_MM + self.dowel.radius)
        planes = self.voxels.planes(range(box[0].start, box[0].stop), box[1:])
        image: Any = SimpleITK.GetImageFromArray(_means(np.stack([plane.copy() for plane in planes]), labels.blocks))
        first = (np.array([part.start for part in box]) - labels.before) // labels.blocks
        image.SetSpacing(labels.spacing_xyz.tolist())
        image.SetDirection((labels.lps_from_xyz / labels.spacing_xyz).ravel().tolist())
        image.SetOrigin((labels.origin_lps + labels.lps_from_xyz @ first[::-1]).tolist())
        return image

    def hu(self, places: Points) -> Points:
        """Interpolate HU at LPS places; what lies outside the scan counts as 0, as in the search."""
        return np.array([self._hu(place.tolist()) for place in places])

    def _hu(self, place: list[float]) -> float:
        index = np.array(self.image.TransformPhysicalPointToContinuousIndex(place))
        if index.min() < 0 or (index > np.array(self.image.GetSize()) - 1).any():
            return 0.0
        return float(self.image.EvaluateAtPhysicalPoint(place, SimpleITK.sitkLinear))


def _means(values: NDArray[np.int16], blocks: tuple[int, int, int]) -> Points:
    """Means of blocks of voxels, as whole HU: those that were worked on."""
    sums = values.astype(float)
    for axis, block in enumerate(blocks):
        sums = sums.reshape(*sums.shape[:axis], -1, block, *sums.shape[axis + 1 :]).sum(axis=axis + 1)
    return np.asarray(np.floor(sums / np.prod(blocks) + 0.5))


def _box(labels: Image, places: Points, margin_mm: float) -> tuple[slice, slice, slice]:
    """Voxels of the file round some places, by whole blocks."""
    index, pad = labels.index_zyx(places), margin_mm / labels.spacing_xyz[::-1]
    before, blocks = np.array(labels.before), np.array(labels.blocks)
    least, most = -(before // blocks), (np.array(labels.shape_zyx) - before) // blocks
    low = np.clip(np.floor(index.min(axis=0) - pad), least, most).astype(int)
    high = np.clip(np.ceil(index.max(axis=0) + pad).astype(int) + 1, low + 1, most)
    first, last = before + low * blocks, before + high * blocks
    z, y, x = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    return z, y, x


def check_scan_grid(case: Case, voxels: Voxels) -> Check:
    """Check that a scan lies where the labels lie."""
    grid, labels = voxels.grid, case.labels
    shape = tuple(grid.shape_zyx) == labels.shape_zyx
    matrix = np.asarray(grid.lps_from_zyx)
    same = shape and np.allclose(matrix[:3, 2::-1] * labels.blocks[::-1], labels.lps_from_xyz, atol=1e-4)
    same = same and np.allclose(matrix[:3, 3], labels.corner_lps, atol=1e-2)
    words = f"scan of {tuple(grid.shape_zyx)}, labels of {labels.shape_zyx} voxels"
    return Check("scan-grid", "both", bool(same), words if same else f"{words}; another grid: HU were not checked")


def check_hu(path: PathOnScan, joint: JointSurface | None) -> Iterator[Check]:
    """Check HU on the axis, in the shell, and at the skin."""
    yield from _axis(path)
    if joint is not None:
        yield _shell(path, joint)
    yield from _skin(path)


def _check(path: PathOnScan, name: str, passed: bool, words: str) -> Check:
    return Check(name, path.dowel.side, bool(passed), f"{path.dowel.name}: {words}")


def _axis(path: PathOnScan) -> Iterator[Check]:
    claimed = np.asarray(path.dowel.claims.get("hu_path") or [], float)
    if not claimed.size:
        return
    steps = np.arange(len(claimed)) * HU_STEP_MM
    found = path.hu(path.mouth + steps[:, None] * path.dowel.direction)
    reach = float(path.dowel.claims["depth_from_bone_mm"])
    whole = len(claimed) in (int(reach + 1e-3) + 1, int(reach - 1e-3) + 1)
    off = float(np.abs(found - claimed).max())
    words = f"{len(claimed)} values over {reach:.1f} mm, at most {off:.1f} HU from the scan's"
    yield _check(path, "hu-path", whole and off <= PATH_HU, words)


def _shell(path: PathOnScan, joint: JointSurface) -> Check:
    """Mean HU of the shell, at the points that it is defined by."""
    dowel = path.dowel
    along = np.linspace(-0.5, 0.5, dowel.stations(STATION_MM) + 1) * dowel.length
    ring = _ring(dowel, joint)
    found = float(path.hu((dowel.centre + along[:, None, None] * dowel.direction + ring).reshape(-1, 3)).mean())
    claimed = float(dowel.claims["hu_shell_mean"])
    words = f"{found:.1f} HU in the shell, claimed {claimed:.1f} HU"
    return _check(path, "hu-shell", abs(found - claimed) <= SHELL_HU, words)


def _ring(dowel: Dowel, joint: JointSurface) -> Points:
    """Points half-way through the shell, as vectors from the axis."""
    section = dowel.claims.get("section")
    side = np.array([[1.0 if dowel.side == "left" else -1.0], [1.0]])
    across = Poses.of(dowel, joint, dowel.centre[None], dowel.direction[None]).axes[0, 1:]
    flat = _outline(dowel, section)
    half = np.abs(flat).max(axis=0)
    if section is not None:
        half = np.abs(np.asarray(section["corners_mm"], float)).max(axis=0)
    grown = flat * (half + SHELL_MM / 2) / half
    return np.asarray(grown[1::2] @ (side * across))


def _outline(dowel: Dowel, section: Any) -> Points:
    """Twelve points round the implant, mm along the joint and out of it: of a polygon, evenly by its corners."""
    if section is None:
        angle = 2 * np.pi * np.arange(RING) / RING
        return np.asarray(dowel.radius * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    corners = np.asarray(section["corners_mm"], float)
    place = np.arange(RING) * len(corners) / RING
    whole = place.astype(int)
    ahead = corners[(whole + 1) % len(corners)] - corners[whole]
    return np.asarray(corners[whole] + (place - whole)[:, None] * ahead)


def _skin(path: PathOnScan) -> Iterator[Check]:
    """Check that the body ends at the skin entry."""
    stated = path.dowel.claims["skin_entry_lps_mm"]
    if stated is None:
        return
    places = point(stated) - np.array([-BEFORE_MM, *np.arange(*BEYOND_MM)])[:, None] * path.dowel.direction
    hu = path.hu(places)
    words = f"{hu[0]:.0f} HU {BEFORE_MM:g} mm inside, at most {hu[1:].max():.0f} outside"
    yield _check(path, "skin-on-scan", hu[0] > SKIN_HU and hu[1:].max() < SKIN_HU, words)
