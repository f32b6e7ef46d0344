"""``implants.csv``: what may have to be on the table, by side and rank, with the other sizes that the catalogue has."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from planner import NOTICE
from planner.errors import ImplantError
from planner.implants import Catalogue
from planner.plan import PlanDocument

__all__ = ["write_implants"]

COLUMNS = ("side", "rank", "grade", "implant", "maker", "diameter_mm", "length_mm", "score", "other_diameters_mm",
           "other_lengths_mm")  # fmt: skip


def write_implants(path: Path, document: PlanDocument, catalogue: Catalogue) -> None:
    """Write the list; the first rank is what is planned, the others are alternatives."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        stream.write(f"# {NOTICE}\n")
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for side, entry in document.sides.items():
            for one in entry.candidates:
                device = one.implant
                maker, diameters, lengths = _others(catalogue, device.id, device.diameter_mm, device.length_mm)
                size = device.diameter_mm, device.length_mm
                writer.writerow([side, one.rank, one.grade, device.id, maker, *size, one.score, diameters, lengths])


def _others(catalogue: Catalogue, identifier: str, diameter_mm: float, length_mm: float) -> tuple[str, str, str]:
    found = next((implant for implant in catalogue.implants if implant.id == identifier), None)
    if found is None:
        return "", "", ""
    try:
        sizes = found.sizes()
    except ImplantError:
        return found.maker, "", ""
    diameters = sorted({d for d, _ in sizes} - {diameter_mm})
    lengths = sorted({length for _, length in sizes} - {length_mm})
    return found.maker, _listed(diameters), _listed(lengths)


def _listed(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)
