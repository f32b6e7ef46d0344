"""What a user sets in napari's own preferences, as `napari.yaml` declares it."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["Preferences", "read_preferences"]

PLUGIN, SECTION = "sacroplan", "review"
"""Names in `napari.yaml`."""


@dataclass(frozen=True)
class Preferences:
    """Settings of a review; the defaults are those of `napari.yaml`.

    Attributes
    ----------
    reviewer : str
        Name that stands in the record.
    window : str
        One of `napari_sacroplan.plane_view.WINDOWS`, when a case is opened.
    nudge_mm : float
        An arrow key moves the implant this far.
    scene_follows_drags : bool
        Whether the 3-D scene moves with a drag, or after it.
    """

    reviewer: str = ""
    window: str = "bone"
    nudge_mm: float = 0.5
    scene_follows_drags: bool = True


def read_preferences() -> Preferences:
    """Read them from napari; a napari before 0.9 knows no settings of plugins, and the defaults hold."""
    import napari.settings

    settings_of = getattr(napari.settings, "get_plugin_settings", None)
    if settings_of is None:
        return Preferences()
    try:
        section = getattr(settings_of(PLUGIN), SECTION)
    except KeyError:  # the plugin is disabled
        return Preferences()
    return Preferences(**{each.name: getattr(section, each.name) for each in fields(Preferences)})
