"""Content items of a structured report (PS3.3 C.17.3), as data sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.valuerep import format_number_as_ds

from planner.exports.dicom.concepts import code_item, code_sequence
from planner.exports.terminology import Concept
from planner.plan import Point

__all__ = ["Unit", "code", "container", "identifier", "number", "place", "text"]

Unit = Concept

SOURCE = Concept("121112", "DCM", "Source of Measurement")

LONGEST_TEXT = 1024
"""Letters of a text, in case a viewer cuts it [P]; the value representation allows any number."""


def container(relation: str, name: Concept, children: Iterable[Dataset]) -> Dataset:
    """Hold further items."""
    item = _item(relation, "CONTAINER", name)
    item.ContinuityOfContent = "SEPARATE"
    item.ContentSequence = Items(children)
    return item


def code(relation: str, name: Concept, value: Concept, children: Sequence[Dataset] = ()) -> Dataset:
    """Coded value."""
    item = _item(relation, "CODE", name)
    item.ConceptCodeSequence = code_sequence(value)
    if children:
        item.ContentSequence = Items(children)
    return item


def text(relation: str, name: Concept, value: str) -> Dataset:
    """Words."""
    item = _item(relation, "TEXT", name)
    item.TextValue = value[:LONGEST_TEXT]
    return item


def identifier(relation: str, name: Concept, uid: str) -> Dataset:
    """Write a unique identifier."""
    item = _item(relation, "UIDREF", name)
    item.UID = uid
    return item


def number(name: Concept, value: float, unit: Unit, source: Dataset | None = None) -> Dataset:
    """Measurement (TID 300), and the place that it was taken at."""
    item, measured = _item("CONTAINS", "NUM", name), Dataset()
    measured.NumericValue = format_number_as_ds(float(value))
    measured.MeasurementUnitsCodeSequence = Items([code_item(unit)])
    item.MeasuredValueSequence = Items([measured])
    if source is not None:
        item.ContentSequence = Items([source])
    return item


def place(points: Sequence[Point], frame_of_reference: str) -> Dataset:
    """Coordinates in LPS mm (SCOORD3D): one point, or the ends of a line in their order (TID 320)."""
    item = _item("INFERRED FROM", "SCOORD3D", SOURCE)
    item.GraphicData = [float(value) for point in points for value in point]
    item.GraphicType = "POINT" if len(points) == 1 else "POLYLINE"
    item.ReferencedFrameOfReferenceUID = frame_of_reference
    return item


def _item(relation: str, kind: str, name: Concept) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relation, kind
    item.ConceptNameCodeSequence = code_sequence(name)
    return item
