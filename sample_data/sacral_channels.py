"""Sacral canal and foramina in closed form: swept tubes whose truth is their own formula."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.keepout.model import Foramen
from planner.labels import Side
from sample_data.closed_forms import Points, Sweep, capsules

__all__ = ["CANAL", "CHANNELS", "Channel", "mouths"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

CANAL = Sweep(
    np.array(
        [(16, 60), (22.5, 50), (31, 39), (40.5, 28), (49.5, 17), (57.5, 7), (63, -4), (67, -16), (69, -30)], float
    ),
    np.array([15, 14.5, 13.5, 12, 10, 8, 6.5, 5.0, 4.0]),
    np.array([7.5, 7.5, 7.0, 6.0, 5.0, 4.2, 3.6, 3.2, 2.8]),
)
"""Sacral canal from the S1 endplate to the hiatus, drawing frame."""


@dataclass(frozen=True)
class Channel:
    """One level's foramen on the left: canal, junction, and from there to both mouths. Drawing frame, mm.

    Attributes
    ----------
    ventral, dorsal : tuple of float
        Points on the axes just outside the bone.
    junction, root : tuple of float
        Where the two limbs part, and the end within the canal.
    ventral_radius, dorsal_radius, root_radius : float
        Of the tubes.
    """

    ventral: tuple[float, float, float]
    dorsal: tuple[float, float, float]
    junction: tuple[float, float, float]
    root: tuple[float, float, float]
    ventral_radius: float
    dorsal_radius: float
    root_radius: float

    def distance(self, left: Points) -> F32:
        """Signed distance to the channel; `left` is mirrored so that this side is +x."""
        rows = [
            (*self.ventral, *self.junction, self.ventral_radius, self.ventral_radius),
            (*self.dorsal, *self.junction, self.dorsal_radius, self.dorsal_radius),
            (*self.junction, *self.root, self.root_radius, self.root_radius),
        ]
        return capsules(left, rows)


CHANNELS = {
    "S1": Channel((25, 12, 9), (23, 45, 43), (18.5, 28.5, 28), (9, 31, 39), 6.0, 4.25, 4.0),
    "S2": Channel((24, 36, -2), (21, 60, 27.5), (17, 45.5, 12.5), (7, 47, 20), 5.5, 3.75, 3.5),
    "S3": Channel((21, 46, -17.5), (18.5, 75, 15), (16, 57.2, -3.5), (5, 60, 3), 4.75, 3.5, 3.0),
    "S4": Channel((17, 51, -33), (14.5, 81, -11), (13, 63.5, -21), (3, 66, -13), 4.0, 3.0, 2.5),
}
"""The four levels, S1 and S2 laid near the atlas's own.

Dorsal widths 8.5 mm at S1 (Korean J Pain 2023;36:98) and 7.5 at S2; 14.2 and 12.8 mm of bone between the dorsal mouths
of S1, S2 and S3 (10.1007/s00276-010-0735-0, read as edge to edge).
"""


def mouths(outer: Callable[[Points], F32], side: Side, level: str) -> dict[str, Foramen]:
    """Both mouths of a channel: where its axis leaves the sacrum as it would be without channels.

    Centres are in the drawing frame.
    """
    channel = CHANNELS[level]
    found = {}
    for aspect, end, radius in (
        ("ventral", channel.ventral, channel.ventral_radius),
        ("dorsal", channel.dorsal, channel.dorsal_radius),
    ):
        share = np.linspace(0, 1, 401)[:, None]
        axis = np.asarray(channel.junction) * (1 - share) + np.asarray(end) * share
        axis *= (side.lateral_x, 1, 1)
        leaves = int(np.argmax(outer(Points.of(axis)) > 0))
        found[aspect] = Foramen(side, level, aspect, axis[leaves], 2 * radius, 1.0)
    return found
