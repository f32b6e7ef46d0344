"""Bones next to the pelvis: where L5 and the femoral heads lie, so that none of them is taken for pelvis."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d

from planner.grid import Grid
from planner.labels import Label, Side
from planner.segmentation.landmarks import fit_sphere
from planner.segmentation.model import PelvicFrame
from planner.segmentation.profiles import NO_DATA, read_profiles
from planner.segmentation.tail import pelvic_places
from planner.volume import Box, Volume

__all__ = ["Head", "femoral_heads", "lumbar_seed"]

HEAD_RADII_MM = (17.0, 31.0)
"""Radius of the bony femoral head in adults [P]."""

HEAD_HU = 100.0
"""The inside of a femoral head is brighter than this [P]."""

LEAST_RAYS, FARTHEST_MM = 100, 10.0
"""A head shows its edge along at least so many of 600 rays, and lies this near to the middle of the socket [P]."""

SEED_INSET_MM = 2.0
"""The seed of the femur is the head's sphere less this [P]."""

DISC_MM, BODY_MM = 14.0, 12.0
"""Above the S1 endplate: L5's body begins beyond the disc, and its seed is this half-wide [P]."""

TOP_MM = DISC_MM + 2.5 * BODY_MM
"""The seed ends this far above the S1 endplate."""

ENDPLATE_NORMAL = np.array([0.0, -0.59, 0.81])
"""Normal of the S1 endplate in the pelvic frame: sacral slope 36 degrees in the mean of the shape model."""

ENDPLATE_FORWARD = np.cross(ENDPLATE_NORMAL, [1.0, 0.0, 0.0])
"""Along that endplate, in the midline."""

SEED_HU = 110.0
"""Voxels of a seed are brighter than this: bone, not disc or muscle [P]."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Head:
    """A femoral head: a sphere in LPS mm."""

    centre_lps: Floats
    radius_mm: float

    def paint(self, labels: NDArray[np.uint8], grid: Grid, value: Label) -> None:
        """Label the inside of the sphere, a little within, where nothing else is."""
        radius = self.radius_mm - SEED_INSET_MM
        corners = self.centre_lps + radius * np.array([[-1.0] * 3, [1.0] * 3])
        try:
            box = grid.box_around(corners, 1.0)
        except ValueError:
            return
        index = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in box), indexing="ij"), axis=-1)
        ball = ((grid.to_lps(index) - self.centre_lps) ** 2).sum(axis=-1) < radius**2
        labels[box][ball & (labels[box] == 0)] = value


def femoral_heads(volume: Volume, sockets: dict[Side, Floats]) -> dict[Side, Head]:
    """Find the sphere of each femoral head within its socket's vertices; what the scan hardly shows is left out."""
    found = {side: head_in(volume, *fit_sphere(socket)) for side, socket in sockets.items()}
    return {side: head for side, head in found.items() if head is not None}


def head_in(volume: Volume, centre: Floats, radius: float) -> Head | None:
    """Refine a sphere on the outer edge of the head: the steepest fall along rays from its centre.

    The scan may end within the head, and leave out its centre.
    """
    rays, start = sphere_directions(600), centre
    offsets = np.arange(HEAD_RADII_MM[0] - 2.0, HEAD_RADII_MM[1], 0.5)
    for _ in range(6):
        profiles = read_profiles(volume, np.repeat(centre[None], len(rays), 0), rays, offsets)
        fall = profiles[:, :-4] + profiles[:, 1:-3] - profiles[:, 3:-1] - profiles[:, 4:]
        fall = np.where(minimum_filter1d(profiles, 5, axis=1)[:, 2:-2] > NO_DATA, fall, 0.0)
        place = offsets[2:-2]
        fall = fall * np.exp(-(((place - min(radius - 2.0, HEAD_RADII_MM[1])) / 5.0) ** 2))
        best = fall.argmax(axis=1)
        strong = fall.max(axis=1) > 150.0
        points = centre + rays * place[best][:, None]
        if strong.sum() < LEAST_RAYS:
            return None
        centre, radius = robust_sphere(points[strong])
        radius = radius + 2.0
    inner = read_profiles(volume, np.repeat(centre[None], len(rays), 0), rays, np.array([0.3, 0.6]) * radius)
    seen = inner[inner > NO_DATA]
    if not len(seen) or np.median(seen) < HEAD_HU or np.linalg.norm(centre - start) > FARTHEST_MM:
        return None
    return Head(centre, float(np.clip(radius - 2.0, *HEAD_RADII_MM)))


def robust_sphere(points: Floats) -> tuple[Floats, float]:
    """Sphere through the points nearest to it, found by dropping outliers."""
    kept = points
    for _ in range(5):
        centre, radius = fit_sphere(kept)
        off = np.abs(np.linalg.norm(points - centre, axis=1) - radius)
        kept = points[off <= max(1.0, float(np.median(off)))]
    return centre, radius


def sphere_directions(count: int) -> Floats:
    """Spread unit vectors evenly over the sphere (golden spiral)."""
    k = np.arange(count) + 0.5
    z = 1.0 - 2.0 * k / count
    turn = np.pi * (1.0 + 5.0**0.5) * k
    ring = np.sqrt(1.0 - z**2)
    return np.column_stack([ring * np.cos(turn), ring * np.sin(turn), z])


def lumbar_box(grid: Grid, frame: PelvicFrame, endplate_lps: Floats) -> Box | None:
    """Box round the place of L5's body, or nothing if it lies outside the scan."""
    centre = frame.to_pelvic(endplate_lps) + 0.5 * (DISC_MM + TOP_MM) * ENDPLATE_NORMAL
    try:
        return grid.box_around(frame.to_lps(centre), 1.5 * TOP_MM)
    except ValueError:
        return None


def seed_box(grid: Grid, frame: PelvicFrame, endplate_lps: Floats) -> Box | None:
    """Box round the seed of L5 alone, or nothing if it lies outside the scan."""
    reach_mm = product((DISC_MM, TOP_MM), (-BODY_MM, BODY_MM), (-1.5 * BODY_MM, 1.5 * BODY_MM))
    corners = np.array(list(reach_mm)) @ np.array([ENDPLATE_NORMAL, ENDPLATE_FORWARD, [1.0, 0.0, 0.0]])
    try:
        return grid.box_around(frame.to_lps(frame.to_pelvic(endplate_lps) + corners), 1.0)
    except ValueError:
        return None


def lumbar_seed(volume: Volume, labels: NDArray[np.uint8], frame: PelvicFrame, endplate_lps: Floats) -> None:
    """Label bright voxels in the place of L5's body, above the S1 endplate, where nothing else is."""
    box = seed_box(volume.grid, frame, endplate_lps)
    if box is None:
        return
    place = pelvic_places(volume.grid.crop(box), frame) - frame.to_pelvic(endplate_lps).astype(np.float32)
    height = place @ ENDPLATE_NORMAL.astype(np.float32)
    across = place @ ENDPLATE_FORWARD.astype(np.float32)
    body = (height > DISC_MM) & (height < TOP_MM) & (np.abs(across) < BODY_MM) & (np.abs(place[..., 0]) < 1.5 * BODY_MM)
    part = labels[box]
    part[body & (part == 0) & (volume.hu[box] > SEED_HU)] = Label.LUMBAR
