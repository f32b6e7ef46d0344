"""How other programs name the bones that are used here: one table of values, names and SNOMED CT codes.

TotalSegmentator numbers and names its classes in one table (Wasserthal et al., Radiol Artif Intell 2023,
10.1148/ryai.230024, task ``total``, version 2), and codes them in DICOM by the table shipped with it. The codes are
those of DICOM PS3.16 CID 4031 (common anatomic regions) and CID 7603 (vertebrae).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from planner.labels import Label, Side

__all__ = ["FOREIGN_CLASSES", "TOTALSEGMENTATOR", "ForeignClass", "bone_of_code", "bone_of_name", "side_of_words"]


class ForeignClass(NamedTuple):
    """One bone as others call it, and the label that it is here.

    Attributes
    ----------
    value : int or None
        In TotalSegmentator's multi-label file; None where it has no such class.
    name : str
        TotalSegmentator's, or in its manner.
    code : str
        SNOMED CT; the side is coded apart.
    label : Label
        What it is here.
    """

    value: int | None
    name: str
    code: str
    label: Label

    @property
    def side(self) -> Side | None:
        """The side that the name ends with."""
        return next((side for side in Side if self.name.endswith(f"_{side}")), None)


FOREIGN_CLASSES = (
    ForeignClass(25, "sacrum", "54735007", Label.SACRUM),
    ForeignClass(26, "vertebrae_S1", "65985001", Label.SACRUM),
    ForeignClass(None, "coccyx", "64688005", Label.SACRUM),
    ForeignClass(27, "vertebrae_L5", "49668003", Label.LUMBAR),
    ForeignClass(28, "vertebrae_L4", "11994002", Label.LUMBAR),
    ForeignClass(29, "vertebrae_L3", "36470004", Label.LUMBAR),
    ForeignClass(75, "femur_left", "71341001", Label.LEFT_FEMUR),
    ForeignClass(76, "femur_right", "71341001", Label.RIGHT_FEMUR),
    ForeignClass(77, "hip_left", "29836001", Label.LEFT_HIP),
    ForeignClass(78, "hip_right", "29836001", Label.RIGHT_HIP),
)
"""Bones that are used here."""

TOTALSEGMENTATOR = tuple(entry for entry in FOREIGN_CLASSES if entry.value is not None)
"""Those that TotalSegmentator knows."""

FILLING = frozenset({"bone", "os", "the", "vertebra", "vertebrae"})
"""Words of a label that tell no bone from another."""


def words_of(name: str) -> frozenset[str]:
    """Words of a label such as ``hip_left`` or ``Left hip bone``, without those that say nothing."""
    return frozenset(re.findall(r"[a-z0-9]+", name.lower())) - FILLING


NAMES = {words_of(entry.name): entry.label for entry in FOREIGN_CLASSES} | {
    words_of(label.name): label for label in Label if label is not Label.BACKGROUND
}


def bone_of_name(name: str) -> Label | None:
    """Bone that a label names, whatever the order of its words; None for any other."""
    return NAMES.get(words_of(name))


def side_of_words(words: Iterable[str]) -> Side | None:
    """Find the one side that some words name; None where they name none or both."""
    text = " ".join(words).lower()
    sides = [side for side in Side if re.search(rf"(?<![a-z]){side}(?![a-z])", text)]
    return sides[0] if len(sides) == 1 else None


def bone_of_code(code: str, side: Side | None) -> Label | None:
    """Bone of a SNOMED CT code and the side coded beside it; None for any other, or where the side is missing."""
    entries = [entry for entry in FOREIGN_CLASSES if entry.code == code and entry.side in (None, side)]
    return entries[0].label if entries else None
