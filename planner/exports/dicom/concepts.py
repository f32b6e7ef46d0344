"""Codes of DICOM objects, as data sets."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from planner.exports.terminology import OWN_SCHEME, Concept

__all__ = ["code_item", "code_sequence", "own_scheme"]


def code_item(concept: Concept) -> Dataset:
    """Item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = concept
    return item


def code_sequence(concept: Concept) -> Sequence:
    """Sequence of one code."""
    return Sequence([code_item(concept)])


def own_scheme() -> Sequence:
    """Coding Scheme Identification Sequence (PS3.3 C.12.1.1.8): who is responsible for our own codes."""
    item = Dataset()
    item.CodingSchemeDesignator = OWN_SCHEME
    item.CodingSchemeName = "Codes of sacroplan"
    item.CodingSchemeResponsibleOrganization = "sacroplan"
    return Sequence([item])
