"""What every program calls the structures: one row a label, with its code, its side and its colour."""

from __future__ import annotations

from typing import NamedTuple

from planner.figures.palette import BONES, KEEPOUT
from planner.foreign_classes import FOREIGN_CLASSES
from planner.labels import SACRAL_LEVELS, Keepout, Label, Side, foramen_value

__all__ = ["ANATOMY", "BONE_STRUCTURES", "KEEPOUT_STRUCTURES", "OWN_SCHEME", "SIDES", "Concept", "Structure"]

OWN_SCHEME = "99SACROPLAN"
"""Coding scheme of what no standard one names; private schemes begin with 99 (DICOM PS3.3 8.2)."""


class Concept(NamedTuple):
    """A coded concept: Code Value, Coding Scheme Designator and Code Meaning (DICOM PS3.3 8.8)."""

    value: str
    scheme: str
    meaning: str


class Structure(NamedTuple):
    """One structure that is labelled.

    Attributes
    ----------
    value : int
        In ``labels.nii.gz`` or ``keepout.nii.gz``.
    name : str
        Words joined by underscores, the side last, as TotalSegmentator names its classes.
    kind : Concept
        What it is; the side is coded apart.
    side : Side or None
        The patient's side.
    colour : str
        Hexadecimal, as in the figures.
    """

    value: int
    name: str
    kind: Concept
    side: Side | None
    colour: str


ANATOMY = Concept("123037004", "SCT", "Anatomical Structure")
"""Category of every structure (CID 7150)."""

SIDES = {Side.LEFT: Concept("7771000", "SCT", "Left"), Side.RIGHT: Concept("24028007", "SCT", "Right")}
"""Laterality (CID 244)."""

MEANINGS = {
    Label.SACRUM: "Sacrum",
    Label.LEFT_HIP: "Hip",
    Label.RIGHT_HIP: "Hip",
    Label.LUMBAR: "L5 vertebra",
    Label.LEFT_FEMUR: "Femur",
    Label.RIGHT_FEMUR: "Femur",
}
"""Meanings of the codes in CID 4031 and CID 7603."""


def _bone(label: Label) -> Structure:
    entry = next(entry for entry in FOREIGN_CLASSES if entry.label is label)
    name = "lumbar" if label is Label.LUMBAR else entry.name
    return Structure(label, name, Concept(entry.code, "SCT", MEANINGS[label]), entry.side, BONES[label])


def _foramen(side: Side, level: str) -> Structure:
    kind = Concept("SACRAL-FORAMEN", OWN_SCHEME, "Sacral foramen")
    return Structure(foramen_value(side, level), f"foramen_{level.lower()}_{side}", kind, side, KEEPOUT)


BONE_STRUCTURES = tuple(_bone(label) for label in MEANINGS)
"""Structures of ``labels.nii.gz``."""

KEEPOUT_STRUCTURES = (
    Structure(Keepout.CANAL, "sacral_canal", Concept("61853006", "SCT", "Vertebral canal"), None, KEEPOUT),
    *(_foramen(side, level) for side in Side for level in SACRAL_LEVELS),
    Structure(Keepout.SOFT, "soft_keepout", Concept("SOFT-KEEPOUT", OWN_SCHEME, "Soft keep-out"), None, KEEPOUT),
)
"""Structures of ``keepout.nii.gz``."""
