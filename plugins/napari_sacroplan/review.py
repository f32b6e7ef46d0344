"""The command ``sacroplan review``: napari with a case in it. Named in `pipelines.viewer`, which imports it by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["make_viewer", "review"]

DOCK = "review"


def make_viewer(path: Path | None = None, ct: Path | None = None, *, show: bool = True) -> tuple[Any, Any]:
    """Open napari with the review dock, and a case if one is given; gives viewer and dock."""
    import napari

    from napari_sacroplan.window import ReviewWindow

    viewer = napari.Viewer(ndisplay=3, show=show)
    window = ReviewWindow(viewer)
    viewer.window.add_dock_widget(window, name=DOCK, area="right")
    if path is not None:
        window.open_any(path, ct)
    return viewer, window


def review(path: Path, ct: Path | None = None) -> None:
    """Review a result folder, or plan a scan and review that; returns when the window is closed."""
    import napari

    make_viewer(path, ct)
    napari.run()
