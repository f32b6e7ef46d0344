"""The way from the command line to the viewer, which the pipelines do not know: it is imported by name."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from planner.errors import ConfigError

__all__ = ["open_review"]

VIEWER_MODULE = "napari_sacroplan.review"
"""Has ``review(path, ct)``. A name, not an import: imports go from the plugin to the pipelines, never back."""

NEEDED = ("napari", "qtpy")


def open_review(path: Path, ct: Path | None = None) -> None:
    """Open a result folder, or a scan to plan, in napari; returns when its window is closed.

    Raises
    ------
    planner.errors.ConfigError
        If napari is not installed, or there is nothing at a path.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"The viewer is not installed (no {' and no '.join(missing)}).",
            'Install it: pip install "sacroplan[viewer]".',
        )
    for place in (path, ct):
        if place is not None and not place.exists():
            raise ConfigError(f"{place.name}: found nothing at this path.", "Check the path.")
    import_module(VIEWER_MODULE).review(path.absolute(), ct.absolute() if ct else None)
