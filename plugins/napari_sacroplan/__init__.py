"""napari plugin: opens CT and finished plans. Research use only. Not for clinical use.

Reading needs neither napari nor Qt: a reader returns plain layer data.
"""

from napari_sacroplan.readers import get_reader

__all__ = ["get_reader"]
