"""The limb of a channel behind a mouth: its sections, the axis through their centres, and where that leaves the bone.

The centre of any plane section of a tube lies on the tube's axis, however the plane is turned. Sections beside the
opening's own plane therefore give the axis without knowing its direction, and the mouth's centre is where the axis goes
out through the bone's outer face: an opening's own outline is drawn out to one side where the channel is oblique.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

__all__ = ["Limb", "follow_limb"]

STEP_MM, GRAIN_MM = 0.5, 0.75
"""Step of the sections, and of the points in them."""

HALF_MM = 13.0
"""Half-width of a section's window: a mouth is up to 15 mm wide, and 10 mm off at most `[P]`."""

DEPTHS_MM = np.arange(1.0, 15.0 + STEP_MM, STEP_MM)
"""Depths of sections below the opening's plane: above them the hull's face is not level, below is the canal `[P]`."""

FIT_MM = 5.0
"""The axis is taken over this length, where it is straightest `[P]`."""

LATEST_MM = 7.0
"""The channel's own sections begin this deep at the latest: before it may lie a hollow that is wider `[P]`."""

LEAST_SECTIONS = 7
"""Fewer sections give no axis `[P]`."""

SHOULDER = 0.5
"""Down to this many widths below an opening the sections may hold a part of its shoulder `[P]`."""

DEEPER = 0.02
"""Of two lengths of axis the deeper one must be straighter by this much, mm, for each mm that it lies deeper: channels
bend towards the canal `[P]`."""

FLARE = 2.0
"""A section of more than this many times the smallest so far is one of the canal, or of a groove `[P]`."""

STEEPEST = 0.5
"""Least cosine between an axis and its opening's normal: a more oblique one is a groove's `[P]`."""

AXIS_MM = 2.0
"""Step of the axis that is handed on."""

ROUNDS = 2
"""Times that sections are laid: the second time square to the axis, round which they are then centred."""

Points = NDArray[np.float64]
Field = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Limb:
    """A channel behind one mouth, in voxels of an isotropic grid.

    Attributes
    ----------
    axis_index : (n, 3) float64 array
        Centres of sections, from the mouth inward, z, y, x.
    outward : (3,) float64 array
        Unit vector along the axis.
    width : float
        Median over the sections of their smallest diameter.
    flares : bool
        The channel ends in a wider hollow of the bone, not at the outer face.
    """

    axis_index: Points
    outward: Points
    width: float
    flares: bool


def follow_limb(network: Field, start_index: Points, outward: Points, spacing_mm: float) -> Limb | None:
    """Follow a channel inward from an opening; None where it has too few sections of its own.

    Parameters
    ----------
    network : (z, y, x) float32 array
        1 within the channels, 0 elsewhere.
    start_index, outward : (3,) array
        Centre of the opening, voxels, and the unit vector out of the bone, z, y, x.
    spacing_mm : float
        Voxel.
    """
    limb, normal = None, outward
    for _ in range(ROUNDS):
        found = _limb(network, start_index, normal, spacing_mm)
        if found is None or found.outward @ outward < STEEPEST:
            return limb
        limb, normal = found, found.outward
        start_index = limb.axis_index[0]
    return limb


def _limb(network: Field, start: Points, normal: Points, spacing_mm: float) -> Limb | None:
    centres, widths, areas = _sections(network, start, normal, spacing_mm)
    if len(centres) < LEAST_SECTIONS:
        return None
    count = min(round(FIT_MM / STEP_MM) + 1, len(centres))
    last = len(centres) - count
    first = min(round(SHOULDER * float(np.median(widths)) / STEP_MM), last)
    lines = {k: _line(centres[k : k + count]) for k in range(first, last + 1)}
    best = min(lines, key=lambda k: lines[k][2] * spacing_mm + DEEPER * STEP_MM * k)
    middle, outward, _ = lines[best]
    outward = outward * np.sign(outward @ normal)
    own = slice(best, best + count)
    wide = np.flatnonzero(areas[:best] > FLARE * np.median(areas[own]))
    opens = len(wide) > 0
    if opens:
        top = middle + ((centres[wide[-1] : wide[-1] + 2].mean(axis=0) - middle) @ outward) * outward
    else:
        top = _leaves(network, middle, outward, spacing_mm)
    inner = centres[(centres - middle) @ outward < (top - middle) @ outward]
    return Limb(np.vstack([top, inner[:: round(AXIS_MM / STEP_MM)]]), outward, float(np.median(widths[own])), opens)


def _line(points: Points) -> tuple[Points, Points, float]:
    """Middle, direction and root mean square residual of a straight line through points."""
    middle = points.mean(axis=0)
    _, lengths, axes = np.linalg.svd(points - middle)
    return middle, axes[0], float(np.sqrt((lengths[1:] ** 2).sum() / len(points)))


def _sections(network: Field, start: Points, normal: Points, spacing_mm: float) -> tuple[Points, Points, Points]:
    """Sections square to `normal` that are the channel's own: centres, voxels; smallest diameters, mm; areas."""
    first = np.cross(normal, np.eye(3)[np.abs(normal).argmin()])
    first /= np.linalg.norm(first)
    second = np.cross(normal, first)
    ruler = np.arange(-HALF_MM, HALF_MM + GRAIN_MM, GRAIN_MM)
    plane = np.stack(np.meshgrid(ruler, ruler, indexing="ij"), axis=-1).reshape(-1, 2)
    across = plane @ np.stack([first, second])
    found: list[tuple[Points, float, float]] = []
    here = np.zeros(2)
    for depth in DEPTHS_MM:
        places = start + (across - depth * normal) / spacing_mm
        cut = ndi.map_coordinates(network, places.T, order=1, mode="constant")
        own = _section(cut.reshape(len(ruler), len(ruler)) > 0.5, plane, here)
        if own is None and not found and depth <= LATEST_MM:
            continue
        if own is None or len(own) > FLARE * min((area for _, _, area in found), default=np.inf):
            break
        here = own.mean(axis=0)
        spread = np.linalg.eigvalsh(np.cov(own.T, bias=True))[0]
        # a disc of diameter d has variance d^2 / 16 along each axis
        width = 4.0 * np.sqrt(max(float(spread), 0.0))
        found.append((start + (here @ np.stack([first, second]) - depth * normal) / spacing_mm, width, len(own)))
    if not found:
        return np.zeros((0, 3)), np.zeros(0), np.zeros(0)
    centres, widths, areas = zip(*found, strict=True)
    return np.array(centres), np.array(widths), np.array(areas)


def _section(cut: NDArray[np.bool_], plane: Points, near: Points) -> Points | None:
    """Points of the part of a section that is nearest to a point; None where it is empty or leaves the window."""
    parts, count = ndi.label(cut)
    if not count:
        return None
    inside = np.flatnonzero(cut)
    nearest = inside[((plane[inside] - near) ** 2).sum(axis=1).argmin()]
    part = parts == parts.ravel()[nearest]
    if part[[0, -1]].any() or part[:, [0, -1]].any():
        return None
    return plane[np.flatnonzero(part)]


def _leaves(network: Field, middle: Points, outward: Points, spacing_mm: float) -> Points:
    """Where the axis leaves the network, to a tenth of a step."""
    along = np.arange(0.0, 2 * HALF_MM, STEP_MM / 10)
    line = middle + along[:, None] * outward / spacing_mm
    outside = ndi.map_coordinates(network, line.T, order=1, mode="constant") <= 0.5
    leaves: Points = line[int(outside.argmax()) if outside.any() else -1]
    return leaves
