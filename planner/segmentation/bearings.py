"""Where a surgeon takes bearings on the labelled bones: spines, notch, promontory, S1 endplate, anterior pelvic plane.

The fitted shape says where each place is about; the labels near there say where it is. What the scan does not show is
left out. Directions are those of the pelvic frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.labels import Label, Side
from planner.segmentation.model import Bones, PelvicFrame
from planner.volume import LabelMap, Volume

__all__ = ["Bearings", "FlatPlace", "find_bearings"]

ON_HIP = ("psis", "piis", "asis", "sciatic_notch")
"""Landmarks of each hip bone."""

SEARCH_MM = 8.0
"""How far round a place a landmark is looked for `[P]`."""

START_MM = 20.0
"""Farther than this from its bone, a fitted landmark says nothing `[P]`."""

LOOKS = 4
"""So often at most: the fitted shape has a notch up to 16 mm too high or too low, an ASIS up to 15 mm off."""

PLAIN_MM = 0.75
"""Points of the bone within this of its extreme count as the extreme: their mean is the landmark `[P]`."""

MIDLINE_MM = 4.0
"""Half-width of the midline in which the promontory lies `[P]`."""

RIM_MM = 16.0
"""How far round a place the notch's rim is looked for; twice as far as up and down, so that the rim itself is met, and
not the end of the search `[P]`."""

RIM_STEP_MM = 2.0
"""Height of the slabs in which the notch's rim is traced `[P]`."""

ENDPLATE_HALF_MM = (14.0, 10.0)
"""Half-width and half-depth of the part of the S1 endplate that is taken as its plane: inside its rim `[P]`."""

ENDPLATE_STEP_MM, RAY_STEP_MM = 2.0, 0.25
"""Distance of the rays that look for the endplate, and of the samples along each."""

ENDPLATE_REACH_MM = 7.0
"""The endplate lies within this of where the fitted shape has it `[P]`."""

OUTLIERS_MM = (3.0, 2.0, 1.2, 1.2)
"""Rays that end farther from the plane met a spur, a hole or the plate's rounded rim; from fit to fit `[P]`."""

SMOOTH_MM = 1.0
"""Gaussian on the label before the endplate is read from it: between steps of whole voxels `[P]`."""

ENDPLATE_SHARE = 0.5
"""An endplate is known where so many of the rays end on it `[P]`."""

SYMPHYSIS_MM = (10.0, 25.0, 14.0)
"""Half-width, depth and half-height of the place where the symphysis's front is looked for `[P]`."""

PADDING_HU = -1000
"""At or below is padding or air: no bone was looked at there."""

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FlatPlace:
    """A plane: a point of it and its unit normal, LPS."""

    point_lps: Points
    normal_lps: Points


@dataclass(frozen=True, eq=False)
class Bearings:
    """What was seen.

    Attributes
    ----------
    landmarks_lps : mapping of name to (3,) float64 array
        ``left_psis``, ``left_piis``, ``left_asis``, ``left_sciatic_notch`` and those of the right; ``promontory``,
        ``s1_endplate_centre``, ``symphysis`` (its front). Only those that the scan shows.
    endplate : FlatPlace or None
        Of S1; normal to cranial.
    anterior_plane : FlatPlace or None
        Through both ASIS and the front of the symphysis; normal to anterior.
    """

    landmarks_lps: Mapping[str, Points]
    endplate: FlatPlace | None
    anterior_plane: FlatPlace | None


def find_bearings(volume: Volume, bones: Bones) -> Bearings:
    """Find the landmarks on the labelled bones, near where the fitted shape has them."""
    expected = {n: p for n, p in bones.fit.landmarks_lps.items() if _is_shown(volume, p)}
    looks: dict[str, tuple[Label, Callable[[Points], Points | None]]] = {
        f"{side}_{name}": (side.hip, partial(_on_hip, bones, side, name)) for side in Side for name in ON_HIP
    }
    looks["promontory"] = (Label.SACRUM, partial(_promontory, bones))
    found = {
        name: _climbed(look, _on_bone(bones.labels, bone, expected[name]))
        for name, (bone, look) in looks.items()
        if name in expected
    }
    found["symphysis"] = _symphysis(volume, bones)
    endplate = _endplate(bones, expected)
    found["s1_endplate_centre"] = endplate.point_lps if endplate else None
    seen = {name: place for name, place in found.items() if place is not None}
    return Bearings(seen, endplate, _anterior_plane(seen, bones.frame))


def _is_shown(volume: Volume, place_lps: Points) -> bool:
    """Whether the scan has data all round a place."""
    around = place_lps + SEARCH_MM / 2 * np.vstack([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
    if not volume.grid.contains(around).all():
        return False
    index = np.round(volume.grid.to_index(around)).astype(np.intp)
    return bool((volume.hu[tuple(index.T)] > PADDING_HU).mean() > 0.5)


def _border(labels: LabelMap, label: Label, place_lps: Points, reach_mm: float) -> Points:
    """LPS points of a label's border voxels within `reach_mm` of a place."""
    box = labels.grid.box_around(place_lps, reach_mm + float(labels.grid.spacing_zyx_mm.max()))
    part = labels.crop(box)
    mask = part.values == label
    border = mask & ~ndi.binary_erosion(mask, border_value=1)
    points = part.grid.to_lps(np.argwhere(border))
    near: Points = points[np.linalg.norm(points - place_lps, axis=1) <= reach_mm]
    return near


def _farthest(points: Points, direction: Points) -> Points | None:
    """Mean of the points farthest along a direction; None without any."""
    if not len(points):
        return None
    height = points @ direction
    middle: Points = points[height >= height.max() - PLAIN_MM].mean(axis=0)
    return middle


def _on_bone(labels: LabelMap, label: Label, place_lps: Points) -> Points | None:
    """Nearest point of a bone's border; None where the bone is not near."""
    points = _border(labels, label, place_lps, START_MM)
    return points[np.linalg.norm(points - place_lps, axis=1).argmin()] if len(points) else None


def _climbed(look: Callable[[Points], Points | None], place: Points | None) -> Points | None:
    """Look again from what was found until the place stays: an extreme at the edge of the search is none."""
    if place is None:
        return None
    for _ in range(LOOKS):
        found = look(place)
        if found is None or np.linalg.norm(found - place) < PLAIN_MM:
            return found
        place = found
    return place


def _on_hip(bones: Bones, side: Side, name: str, place: Points) -> Points | None:
    if name == "sciatic_notch":
        return _notch(_border(bones.labels, side.hip, place, RIM_MM), place, bones.frame)
    points = _border(bones.labels, side.hip, place, SEARCH_MM)
    if name == "asis":
        return _farthest(points, -bones.frame.posterior_lps)
    if name == "psis":
        return _farthest(points, bones.frame.posterior_lps)
    return _farthest(points, _off_chord(bones, side))


def _off_chord(bones: Bones, side: Side) -> Points:
    """Direction square to the line from PSIS to notch, out of the bone: along it the PIIS juts out."""
    ends = [bones.fit.landmarks_lps[f"{side}_{name}"] for name in ("psis", "sciatic_notch")]
    places = bones.frame.to_pelvic(np.array(ends))
    chord = (places[1] - places[0])[1:]
    out = np.array([0.0, -chord[1], chord[0]]) / np.linalg.norm(chord)
    direction: Points = bones.frame.lps_from_pelvic[:3, :3] @ out
    return direction


def _notch(points: Points, place: Points, frame: PelvicFrame) -> Points | None:
    """Deepest place of the rim: of the most posterior points of each slab the most anterior."""
    if not len(points):
        return None
    pelvic = frame.to_pelvic(points)
    slab = np.floor((pelvic[:, 2] - frame.to_pelvic(place)[2]) / RIM_STEP_MM).astype(int)
    near, count = np.unique(slab[np.abs(slab) * RIM_STEP_MM <= SEARCH_MM], return_counts=True)
    near = near[count >= np.median(count) / 2]  # a slab between two slices has too few points to show the rim
    rim = np.array([pelvic[slab == k][pelvic[slab == k, 1].argmax()] for k in near]).reshape(-1, 3)
    deepest = _farthest(rim, np.array([0.0, -1.0, 0.0]))
    return frame.to_lps(deepest) if deepest is not None else None


def _promontory(bones: Bones, place: Points) -> Points | None:
    """Most anterior point of the midline of S1."""
    points = _border(bones.labels, Label.SACRUM, place, SEARCH_MM)
    midline = np.abs((points - place) @ bones.frame.left_lps) <= MIDLINE_MM
    return _farthest(points[midline], -bones.frame.posterior_lps)


def _symphysis(volume: Volume, bones: Bones) -> Points | None:
    """Most anterior point of the pubic bones where they meet."""
    medial = []
    for side in Side:
        pelvic = bones.frame.to_pelvic(bones.fit.vertices_lps.get(f"{side}_hip", np.zeros((0, 3))))
        front = pelvic[pelvic[:, 1] < np.median(pelvic[:, 1])] if len(pelvic) else pelvic
        if not len(front):
            return None
        medial.append(front[(front[:, 0] * side.lateral_x).argmin()])
    place = bones.frame.to_lps(np.mean(medial, axis=0))
    if not _is_shown(volume, place):
        return None
    fronts = [_front(bones, side, place) for side in Side]
    found = [front for front in fronts if front is not None]
    return np.mean(found, axis=0) if len(found) == len(Side) else None


def _front(bones: Bones, side: Side, place: Points) -> Points | None:
    """Most anterior point of one pubic bone near the symphysis."""
    points = _border(bones.labels, side.hip, place, float(np.linalg.norm(SYMPHYSIS_MM)))
    inside = (np.abs((points - place) @ bones.frame.lps_from_pelvic[:3, :3]) <= SYMPHYSIS_MM).all(axis=1)
    return _farthest(points[inside], -bones.frame.posterior_lps)


def _endplate(bones: Bones, expected: Mapping[str, Points]) -> FlatPlace | None:
    """Plane of the S1 endplate by rays out of the body of S1."""
    if not {"promontory", "s1_endplate_centre"} <= set(expected):
        return None
    centre, left = expected["s1_endplate_centre"], bones.frame.left_lps
    back = centre - expected["promontory"]
    back = back - (back @ left) * left
    back /= np.linalg.norm(back)
    up = np.cross(left, back)
    wide, deep = (np.arange(-half, half + 0.1, ENDPLATE_STEP_MM) for half in ENDPLATE_HALF_MM)
    across = (wide[:, None, None] * left + deep[None, :, None] * back).reshape(-1, 3)
    return _plane(_ray_ends(bones.labels, centre + across, up), len(across), up)


def _ray_ends(labels: LabelMap, starts_lps: Points, up: Points) -> Points:
    """Where rays from within the sacrum leave it: the points at which they do."""
    steps = np.arange(-ENDPLATE_REACH_MM, ENDPLATE_REACH_MM + RAY_STEP_MM, RAY_STEP_MM)
    points = starts_lps[:, None] + steps[None, :, None] * up
    around_mm = float(labels.grid.spacing_zyx_mm.max()) + 3 * SMOOTH_MM
    part = labels.crop(labels.grid.box_around(points.reshape(-1, 3), around_mm))
    index = np.moveaxis(part.grid.to_index(points), -1, 0)
    filled = (part.values == Label.SACRUM).astype(np.float32)
    filled = ndi.gaussian_filter(filled, SMOOTH_MM / part.grid.spacing_zyx_mm, mode="nearest")
    inside = ndi.map_coordinates(filled, index, order=1, cval=0.0) > 0.5
    last = inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    good = inside.any(axis=1) & (last < inside.shape[1] - 1)
    ends: Points = points[good, last[good]]
    return ends


def _plane(points: Points, rays: int, up: Points) -> FlatPlace | None:
    """Least squares plane without outliers; None where too few rays ended on it."""
    for outlier_mm in OUTLIERS_MM:
        if len(points) < max(ENDPLATE_SHARE * rays, 3):
            return None
        centre = points.mean(axis=0)
        normal = np.linalg.svd(points - centre, full_matrices=False)[2][2]
        normal = normal * np.sign(normal @ up)
        points = points[np.abs((points - centre) @ normal) <= outlier_mm]
    return FlatPlace(centre, normal)


def _anterior_plane(seen: Mapping[str, Points], frame: PelvicFrame) -> FlatPlace | None:
    if not {"left_asis", "right_asis", "symphysis"} <= set(seen):
        return None
    left, right, pubis = seen["left_asis"], seen["right_asis"], seen["symphysis"]
    normal = np.cross(left - pubis, right - pubis)
    normal = normal / np.linalg.norm(normal)
    return FlatPlace((left + right + pubis) / 3, -normal * np.sign(normal @ frame.posterior_lps))
