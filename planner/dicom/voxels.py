"""The slices of a series as a source of voxels: read, decoded and turned to Hounsfield units as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from zipfile import is_zipfile

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner.dicom.decoding import decoded_words, is_compressed
from planner.dicom.headers import Slice
from planner.dicom.pixels import hounsfield_table
from planner.grid import Grid
from planner.source import Window

__all__ = ["SliceSource"]

KEEP_BYTES = 256 * 2**20
"""Decoded slices that are kept, so that those of the coarse pass are not decoded again for the pelvis."""

Plane = NDArray[np.int16]


class SliceSource:
    """Slices of one size, each a plane.

    Parameters
    ----------
    path : Path
        Folder, zip or file that the slices are in.
    slices : sequence of Slice
        By growing depth.
    grid : Grid
        Where they lie.
    """

    def __init__(self, path: Path, slices: Sequence[Slice], grid: Grid) -> None:
        self._path, self._slices, self._grid = path, tuple(slices), grid
        self._packed = not path.is_dir() and is_zipfile(path)
        self._kept: dict[int, Plane] = {}

    @property
    def grid(self) -> Grid:
        """One plane a slice."""
        return self._grid

    def planes(self, indices: Sequence[int], window: Window | None = None) -> Iterator[Plane]:
        """Read slices; those that were decoded and kept are not read again.

        Raises
        ------
        UnreadableFileError
            If pixel data are truncated or cannot be decoded.
        """
        compressed = [is_compressed(self._slices[k].instance) for k in indices]
        # A part of a frame can be read where nothing must be unpacked; a zip checks only what is read to its end.
        early = None if self._packed or any(compressed) else window
        late = window if early is None else None
        frames = [(self._slices[k].instance, self._slices[k].frame) for k in indices if k not in self._kept]
        words = decoded_words(self._path, frames, early)
        for k, must_decode in zip(indices, compressed, strict=True):
            plane = self._kept.get(k)
            if plane is None:
                plane = _to_hounsfield(next(words), hounsfield_table(self._slices[k]))
                if must_decode and (len(self._kept) + 1) * plane.nbytes <= KEEP_BYTES:
                    self._kept[k] = plane
            yield plane if late is None else plane[late]


def _to_hounsfield(words: NDArray[np.uint16], table: NDArray[np.int16]) -> Plane:
    plane = np.empty(words.shape, np.int16)
    _look_up(words, table, plane)
    return plane


@njit(cache=True)
def _look_up(words, table, plane):  # type: ignore[no-untyped-def]
    for j in range(words.shape[0]):
        for i in range(words.shape[1]):
            plane[j, i] = table[words[j, i]]
