"""A distribution as a small picture in the page itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["histogram"]

BINS, WIDTH, HEIGHT = 24, 168, 36
"""Bars, and the size of the picture in pixels."""


def histogram(values: Sequence[float], outliers: Sequence[float]) -> str:
    """Draw bars of counts as SVG, those that hold an outlier in its colour.

    Parameters
    ----------
    values : sequence of float
        All of them, outliers too; at least one.
    outliers : sequence of float
        Those far off.
    """
    counts, edges = np.histogram(values, BINS)
    far, _ = np.histogram(outliers, edges)
    width = WIDTH / BINS
    bars = "".join(
        f"<rect x='{k * width:g}' y='{HEIGHT - tall:g}' width='{width - 1:g}' height='{tall:g}'"
        f"{' class=far' if far[k] else ''}><title>{count} of {edges[k]:.4g} to {edges[k + 1]:.4g}</title></rect>"
        for k, count in enumerate(counts)
        if count and (tall := max(2.0, round(HEIGHT * count / counts.max(), 1)))
    )
    return f"<svg width={WIDTH} height={HEIGHT} role=img aria-label='distribution'>{bars}</svg>"
