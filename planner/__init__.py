"""Headless core: from a pelvic CT to a checked posterior sacroiliac joint plan.

Research use only. Not for clinical use.
"""

__version__ = "0.1.0"

NOTICE = "Research use only. Not for clinical use."
"""Shown on every screen, page and file that this program makes."""

__all__ = ["NOTICE", "__version__"]
