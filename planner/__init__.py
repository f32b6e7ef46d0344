"""Headless core: from a pelvic CT to a checked posterior sacroiliac joint plan.

Research use only. Not for clinical use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.case import Case, CaseSettings, plan_case
    from planner.grid import Grid
    from planner.volume import Volume

__version__ = "0.1.0"

NOTICE = "Research use only. Not for clinical use."
"""Shown on every screen, page and file that this program makes."""

PLACES = {
    "Case": "planner.case",
    "CaseSettings": "planner.case",
    "Grid": "planner.grid",
    "Volume": "planner.volume",
    "plan_case": "planner.case",
}
"""Where the names of the Python interface live; they are imported when asked for, as all stages come with them."""

__all__ = ["NOTICE", "Case", "CaseSettings", "Grid", "Volume", "__version__", "plan_case"]


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(PLACES[name]), name)
