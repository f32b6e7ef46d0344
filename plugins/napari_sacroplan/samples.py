"""Sample data: the phantom, a made CT of no real patient."""

from __future__ import annotations

from napari_sacroplan.readers import LayerData, ct_layer
from sample_data.phantom import PhantomSpec, make_phantom

__all__ = ["phantom"]

SPACING_ZYX_MM = (2.0, 1.5, 1.5)
"""Coarse enough to be made in seconds."""


def phantom() -> list[LayerData]:
    """Give the phantom as one image layer."""
    volume = make_phantom(PhantomSpec(spacing_zyx_mm=SPACING_ZYX_MM)).volume
    return [ct_layer("phantom CT", volume.hu, volume.grid)]
