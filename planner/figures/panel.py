"""One panel: the CT in a plane with bones, joint line, keep-outs and implant over it."""

from __future__ import annotations

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Circle, Rectangle
from numpy.typing import NDArray

from planner.figures import palette
from planner.figures.model import Cylinder, FigureCase
from planner.figures.planes import Plane, Samples, compass, joint_segments
from planner.joint.model import Zone
from planner.labels import Keepout, Label

__all__ = ["WINDOW_HU", "WINDOW_WORDS", "draw_implant", "draw_plane", "draw_ring", "letters", "scale_bar"]

WINDOW_HU = (-300.0, 1100.0)
"""Bone window: centre 400, width 1400, wide enough for cortex beside soft tissue [P]."""

WINDOW_WORDS = "CT window: centre 400, width 1400 HU"
"""Stated on every page that shows CT."""

AIR_HU = -1024.0
CASING = [patheffects.withStroke(linewidth=3, foreground="#000000")]

Vector = NDArray[np.float64]


def draw_plane(axes: Axes, case: FigureCase, plane: Plane, caption: str) -> None:
    """Draw everything that a plane cuts."""
    points = plane.points_lps()
    right, up = plane.axes_mm()
    samples = Samples.at(case.volume.grid, points)
    hu = samples.interpolate(case.volume.hu, AIR_HU)
    extent = (right[0], right[-1], up[0], up[-1])
    low, high = WINDOW_HU
    axes.imshow(hu, cmap="gray", vmin=low, vmax=high, origin="lower", extent=extent, interpolation="bilinear")
    _draw_keepouts(axes, samples.label_shares(case.keepouts.mask.values), (right, up))
    for label, share in samples.label_shares(case.bones.labels.values).items():
        if share.max() > 0.5:
            axes.contour(right, up, share, levels=[0.5], colors=[palette.BONES[Label(label)]], linewidths=1.0)
    for joint in case.joints.values():
        _draw_joint(axes, joint_segments(joint, plane))
    for implant in case.implants().values():
        draw_implant(axes, implant, plane)
    _dress(axes, plane, caption)


def _draw_keepouts(axes: Axes, shares: dict[int, Vector], at: tuple[Vector, Vector]) -> None:
    nothing = np.zeros(1)
    neural = sum((share for value, share in shares.items() if value != Keepout.SOFT), start=nothing)
    if neural.max() > 0.5:
        axes.contourf(*at, neural, levels=[0.5, 2.0], colors=[palette.KEEPOUT], alpha=0.45)
        axes.contour(*at, neural, levels=[0.5], colors=[palette.KEEPOUT], linewidths=0.8)
    soft = shares.get(Keepout.SOFT, nothing)
    if soft.max() > 0.5:
        axes.contour(*at, soft, levels=[0.5], colors=[palette.KEEPOUT], linewidths=0.8, linestyles="dotted")


def _draw_joint(axes: Axes, segments: dict[Zone, Vector]) -> None:
    styles = {Zone.ARTICULAR: ("solid", 1.6), Zone.LIGAMENTOUS: ((0, (0.6, 1.6)), 1.3)}
    for zone, (style, width) in styles.items():
        lines = LineCollection(
            list(_chained(segments[zone])), colors=palette.ARTICULAR, linestyles=[style], linewidths=width
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


def draw_implant(axes: Axes, implant: Cylinder, plane: Plane) -> None:
    """Outline the cylinder's true section with the plane, and its axis where that lies in the plane."""
    right, up = plane.axes_mm()
    outside = implant.outside_mm(plane.points_lps())
    if outside.min() >= 0:
        return
    axes.contourf(right, up, outside, levels=[-1e3, 0.0], colors=["#FFFFFF"], alpha=0.18)
    axes.contour(right, up, outside, levels=[0.0], colors=["#000000"], linewidths=3.0)
    axes.contour(right, up, outside, levels=[0.0], colors=[palette.IMPLANT], linewidths=1.5)


def draw_ring(axes: Axes, centre_mm: tuple[float, float], radius_mm: float) -> None:
    """Draw the safety ring round the implant."""
    axes.add_patch(Circle(centre_mm, radius_mm, fill=False, ls="--", lw=1.6, ec=palette.GUARD, path_effects=CASING))


def _dress(axes: Axes, plane: Plane, caption: str) -> None:
    axes.set_xlim(-plane.half_mm[0], plane.half_mm[0])
    axes.set_ylim(-plane.half_mm[1], plane.half_mm[1])
    axes.set_axis_off()
    letters(axes, plane.right_lps, plane.up_lps)
    scale_bar(axes, plane.half_mm)
    axes.text(0.015, 0.985, caption, transform=axes.transAxes, size=8.5, color="#FFFFFF", va="top", path_effects=CASING)


def letters(axes: Axes, right_lps: Vector, up_lps: Vector, colour: str = "#FFFFFF") -> None:
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
            x, y, compass(direction), transform=axes.transAxes, size=11, weight="bold",
            color=colour, ha=across, va=along, path_effects=effects,
        )  # fmt: skip


def scale_bar(axes: Axes, half_mm: tuple[float, float], colour: str = "#FFFFFF") -> None:
    """Draw a bar of a round length in the lower right corner."""
    length = next(step for step in (100.0, 50.0, 20.0, 10.0, 5.0) if step <= half_mm[0] * 0.5)
    x, y = half_mm[0] * 0.95 - length, -half_mm[1] * 0.93
    axes.add_patch(Rectangle((x, y), length, half_mm[1] * 0.012, fc=colour, ec="#000000", lw=0.4))
    effects = CASING if colour == "#FFFFFF" else []
    axes.text(
        x + length / 2, y + half_mm[1] * 0.03, f"{length:g} mm", size=8, color=colour, ha="center", path_effects=effects
    )
