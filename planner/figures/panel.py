"""One panel: the CT in a plane with bones, joint line, keep-outs and implant over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Polygon, Rectangle
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy.spatial import ConvexHull

from planner.figures import palette
from planner.figures.model import Cylinder, FigureCase
from planner.figures.outlines import fill_above, outline
from planner.figures.planes import Plane, Samples, compass, joint_segments
from planner.joint.model import Zone
from planner.labels import Keepout, Label

__all__ = [
    "PRINT",
    "SCREEN",
    "WINDOW_HU",
    "WINDOW_WORDS",
    "Type",
    "draw_implant",
    "draw_plane",
    "draw_ring",
    "letters",
    "scale_bar",
]

WINDOW_HU = (-300.0, 1100.0)
"""Bone window: centre 400, width 1400, wide enough for cortex beside soft tissue [P]."""

WINDOW_WORDS = "CT window: centre 400, width 1400 HU"
"""Stated on every page that shows CT."""

AIR_HU = -1024.0
CASING = [patheffects.withStroke(linewidth=2.4, foreground="#000000")]

RING_POINTS = 48
"""Of a round corner of the safety ring."""

NAMED_MM = 6.0
"""A bone is named where a circle of this radius fits into its section `[P]`."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Type:
    """Sizes of what is drawn over a picture, in points.

    Attributes
    ----------
    letter, word : float
        Of the letters at the edges, and of other words.
    line : float
        Width of lines, as a share of that for a screen.
    names : bool
        Write each bone's name on it, so that no colour is needed.
    """

    letter: float
    word: float
    line: float
    names: bool


SCREEN = Type(letter=11, word=8, line=1.0, names=False)
PRINT = Type(letter=7.5, word=6.8, line=0.65, names=True)
"""For pictures that are printed at their own size."""


def draw_plane(axes: Axes, case: FigureCase, plane: Plane, caption: str, size: Type = SCREEN) -> None:
    """Draw everything that a plane cuts."""
    points = plane.points_lps()
    right, up = plane.axes_mm()
    samples = Samples.at(case.volume.grid, points)
    hu = samples.interpolate(case.volume.hu, AIR_HU)
    extent = (right[0], right[-1], up[0], up[-1])
    low, high = WINDOW_HU
    axes.imshow(hu, cmap="gray", vmin=low, vmax=high, origin="lower", extent=extent, interpolation="bilinear")
    _draw_keepouts(axes, samples.label_shares(case.keepouts.mask.values), (right, up), size)
    for label, share in samples.label_shares(case.bones.labels.values).items():
        if share.max() > 0.5:
            _draw_bone(axes, Label(label), share, (right, up), size)
    for joint in case.joints.values():
        _draw_joint(axes, joint_segments(joint, plane), size)
    for implant in case.implants().values():
        draw_implant(axes, implant, plane, size)
    _dress(axes, plane, caption, size)


def _draw_bone(axes: Axes, label: Label, share: Vector, at: tuple[Vector, Vector], size: Type) -> None:
    outline(axes, at, share, 0.5, colors=palette.BONES[label], linewidths=size.line)
    if size.names:
        room = ndi.distance_transform_edt(np.pad(share > 0.5, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(room.argmax(), room.shape)
        if room[row, column] * (at[0][1] - at[0][0]) >= NAMED_MM:
            words: dict[str, Any] = {"size": size.word, "color": "#FFFFFF", "path_effects": CASING}
            place = float(at[0][column]), float(at[1][row])
            axes.text(*place, palette.BONE_NAMES[label], ha="center", va="center", clip_on=True, **words)


def _draw_keepouts(axes: Axes, shares: dict[int, Vector], at: tuple[Vector, Vector], size: Type) -> None:
    nothing = np.zeros((2, 2))
    neural = sum((share for value, share in shares.items() if value != Keepout.SOFT), start=np.zeros(1))
    line = {"colors": palette.KEEPOUT, "linewidths": 0.8 * size.line}
    if neural.max() > 0.5:
        hatched = {"hatch": "//////", "hatch_linewidth": 0.35} if size.names else {}
        fill_above(axes, at, neural, 0.5, fc=(*palette.KEEPOUT_RGB, 0.45), ec=palette.KEEPOUT, lw=0, **hatched)
        outline(axes, at, neural, 0.5, **line)
    soft = shares.get(Keepout.SOFT, nothing)
    if soft.max() > 0.5:
        outline(axes, at, soft, 0.5, linestyles="dotted", **line)


def _draw_joint(axes: Axes, segments: dict[Zone, Vector], size: Type) -> None:
    styles = {Zone.ARTICULAR: ("solid", 1.6), Zone.LIGAMENTOUS: ((0, (0.6, 1.6)), 1.3)}
    for zone, (style, width) in styles.items():
        lines = LineCollection(
            list(_chained(segments[zone])), colors=palette.ARTICULAR, linestyles=[style], linewidths=width * size.line
        )
        axes.add_collection(lines, autolim=False)


def _chained(segments: Vector) -> list[Vector]:
    """Join segments end to end, so that a dotted line shows its dots."""
    ends: dict[tuple[float, float], list[int]] = {}
    keys = [[(round(float(x), 4), round(float(y), 4)) for x, y in pair] for pair in segments]
    for number, pair in enumerate(keys):
        for key in pair:
            ends.setdefault(key, []).append(number)
    unused, chains = set(range(len(keys))), []
    starts = sorted(unused, key=lambda n: min(len(ends[key]) for key in keys[n]))
    for first in starts:
        if first in unused:
            chains.append(_follow(first, keys, ends, unused))
    return chains


def _follow(
    first: int, keys: list[list[tuple[float, float]]], ends: dict[tuple[float, float], list[int]], unused: set[int]
) -> Vector:
    a, b = sorted(keys[first], key=lambda key: len(ends[key]))
    unused.discard(first)
    chain, head = [a, b], b
    while following := [n for n in ends[head] if n in unused]:
        unused.discard(following[0])
        pair = keys[following[0]]
        head = pair[1] if pair[0] == head else pair[0]
        chain.append(head)
    return np.array(chain)


def draw_implant(axes: Axes, implant: Cylinder, plane: Plane, size: Type = SCREEN) -> None:
    """Outline the implant's true section with the plane, and its axis where that lies in the plane."""
    at = plane.axes_mm()
    outside = implant.outside_mm(plane.points_lps())
    if outside.min() >= 0:
        return
    fill_above(axes, at, -outside, 0.0, fc="#FFFFFF2E", lw=0)
    outline(axes, at, outside, 0.0, colors="#000000", linewidths=3.0 * size.line)
    outline(axes, at, outside, 0.0, colors=palette.IMPLANT, linewidths=1.5 * size.line)


def draw_ring(axes: Axes, implant: Cylinder, plane: Plane, beyond_mm: float, size: Type = SCREEN) -> None:
    """Draw the safety ring round the implant, in a plane across its axis."""
    rim = plane.to_plane(implant.centre_lps + implant.rim_lps)[:, :2]
    turn = np.linspace(0, 2 * np.pi, RING_POINTS, endpoint=False)
    around = (rim[:, None] + beyond_mm * np.stack([np.cos(turn), np.sin(turn)], axis=-1)).reshape(-1, 2)
    line: dict[str, Any] = {"ls": "--", "lw": 1.6 * size.line, "ec": palette.GUARD, "path_effects": CASING}
    axes.add_patch(Polygon(around[ConvexHull(around).vertices], fill=False, **line))


def _dress(axes: Axes, plane: Plane, caption: str, size: Type) -> None:
    axes.set_xlim(-plane.half_mm[0], plane.half_mm[0])
    axes.set_ylim(-plane.half_mm[1], plane.half_mm[1])
    axes.set_axis_off()
    letters(axes, plane.right_lps, plane.up_lps, size=size)
    scale_bar(axes, plane.half_mm, size=size)
    if caption:
        axes.text(
            0.015, 0.985, caption, transform=axes.transAxes, size=8.5, color="#FFFFFF", va="top", path_effects=CASING
        )


def letters(axes: Axes, right_lps: Vector, up_lps: Vector, colour: str = "#FFFFFF", *, size: Type = SCREEN) -> None:
    """Mark the four edges with the patient's directions."""
    effects = CASING if colour == "#FFFFFF" else []
    for x, y, direction in (
        (0.02, 0.5, -right_lps),
        (0.98, 0.5, right_lps),
        (0.5, 0.985, up_lps),
        (0.5, 0.015, -up_lps),
    ):
        across = "left" if x < 0.1 else "right" if x > 0.9 else "center"
        along = "top" if y > 0.9 else "bottom" if y < 0.1 else "center"
        axes.text(
            x, y, compass(direction), transform=axes.transAxes, size=size.letter, weight="bold",
            color=colour, ha=across, va=along, path_effects=effects,
        )  # fmt: skip


def scale_bar(axes: Axes, half_mm: tuple[float, float], colour: str = "#FFFFFF", *, size: Type = SCREEN) -> None:
    """Draw a bar of a round length in the lower right corner."""
    length = next(step for step in (100.0, 50.0, 20.0, 10.0, 5.0) if step <= half_mm[0] * 0.5)
    x, y = half_mm[0] * 0.95 - length, -half_mm[1] * 0.93
    axes.add_patch(Rectangle((x, y), length, half_mm[1] * 0.012, fc=colour, ec="#000000", lw=0.4))
    effects = CASING if colour == "#FFFFFF" else []
    words: dict[str, Any] = {"size": size.word, "color": colour, "ha": "center", "path_effects": effects}
    axes.text(x + length / 2, y + half_mm[1] * 0.03, f"{length:g} mm", **words)
