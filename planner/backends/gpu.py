"""An NVIDIA graphics card by CuPy (the extra ``gpu``), for reading the scan along many normals at once.

CuPy and not torch: its arrays take the very calls that NumPy's do, so that one code serves both and is tested without a
card, and it is one package in place of several gigabytes. Each call is its own kernel in float64, in the order of the
compiled CPU code: nothing is contracted, and the result is the same.

Without the package, without a card, or when the card fails, the CPU does the work and nothing else changes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from planner.volume import Volume

__all__ = ["SWITCH", "Card", "find_card"]

SWITCH = "SACROPLAN_GPU"
"""Environment variable; ``off`` leaves the card alone."""

LEAST_SAMPLES = 50_000
"""Fewer are read by the CPU before the card has been told of them [P]."""

logger = logging.getLogger(__name__)

Numbers = NDArray[np.float64]


class Card:
    """A card, or what stands in for it.

    Parameters
    ----------
    arrays : module
        CuPy, or NumPy in tests.
    name : str
        The card's.
    fetch : callable
        Brings an array of the card to the CPU.
    """

    def __init__(self, arrays: Any, name: str, fetch: Callable[[Any], NDArray[np.float32]]) -> None:
        self._arrays, self.name, self._fetch = arrays, name, fetch
        self._volumes: WeakKeyDictionary[Volume, Any] = WeakKeyDictionary()
        self._works = True

    def read(
        self, volume: Volume, start: Numbers, direction: Numbers, offsets: Numbers, outside: float
    ) -> NDArray[np.float32] | None:
        """Trilinear HU at ``start + offset * direction``; None where the CPU is to do it.

        Parameters
        ----------
        volume : Volume
            Kept on the card as long as it is kept here.
        start, direction : (n, 3) float64 arrays
            Array indices z, y, x.
        offsets : (m,) float64 array
            Along the directions.
        outside : float
            Value beyond the volume.
        """
        if not self._works or len(start) * len(offsets) < LEAST_SAMPLES:
            return None
        try:
            return self._fetch(self._sampled(volume, start, direction, offsets, outside))
        except Exception as error:  # out of its memory, taken by another program, unplugged: the CPU goes on
            logger.info("The graphics card failed (%s); the CPU goes on.", type(error).__name__)
            self._works = False
            self._volumes.clear()
            return None

    def _sampled(self, volume: Volume, start: Numbers, direction: Numbers, offsets: Numbers, outside: float) -> Any:
        xp = self._arrays
        if volume not in self._volumes:
            self._volumes[volume] = xp.asarray(volume.hu).ravel()
        hu, shape = self._volumes[volume], volume.hu.shape
        along = xp.asarray(offsets)[None, :]
        inside = xp.ones((len(start), len(offsets)), bool)
        low, part = [], []
        for axis in range(3):
            place = xp.asarray(start[:, axis])[:, None] + along * xp.asarray(direction[:, axis])[:, None]
            inside &= (place >= 0) & (place <= shape[axis] - 1)
            low.append(xp.clip(place, 0, shape[axis] - 2).astype(xp.int64))
            part.append(place - low[-1])
        first = (low[0] * shape[1] + low[1]) * shape[2] + low[2]
        planes = [self._in_plane(hu, first + step, shape[2], part) for step in (0, shape[1] * shape[2])]
        value = planes[0] * (1 - part[0]) + planes[1] * part[0]
        return xp.where(inside, value, outside).astype(xp.float32)

    def _in_plane(self, hu: Any, first: Any, row: int, part: list[Any]) -> Any:
        """Bilinear value within one slice; `first` is the corner's place in memory."""
        _, down, along = part
        rows = [hu[first + step] * (1 - along) + hu[first + step + 1] * along for step in (0, row)]
        return rows[0] * (1 - down) + rows[1] * down


@cache
def find_card() -> Card | None:
    """Find the card; None where there is none, it cannot be used, or it is switched off."""
    if os.environ.get(SWITCH, "").lower() == "off" or find_spec("cupy") is None:
        return None
    try:
        cupy = import_module("cupy")
        properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
        if int(cupy.arange(3).sum()) != 3:
            return None
        return Card(cupy, properties["name"].decode(), cupy.asnumpy)
    except Exception as error:  # no driver, no card, another CUDA: all the same to the user
        logger.info("No graphics card is used (%s).", type(error).__name__)
        return None
