"""Implants: data, not code. A device without sizes cannot be planned with."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from planner.errors import ConfigError, ImplantError

__all__ = ["Catalogue", "Implant", "load_catalogue"]

SHAPES = ("cylinder", "tapered", "screw", "box", "wedge", "triangular rod", "twin barrel")
"""Shapes whose cross-section is known: see `planner.trajectory.section`."""

HOW_TO_ADD = (
    "Write a TOML file with [[implant]], id, maker, approach, count, shape, diameters_mm, lengths_mm, source "
    "(the document the sizes are taken from) and entered_by (your name), and give it with --catalogue."
)
"""Remedy shown wherever a device or its sizes are missing."""

Sizes = Annotated[tuple[Annotated[float, Field(gt=0, le=120)], ...], Field(min_length=1)]


class Implant(BaseModel):
    """One entry of the catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    """Identifier, upper case; what ``--implant`` takes."""

    maker: str
    """Company, or ``none``."""

    approach: str
    """``posterior``, ``inferior-posterior`` or ``lateral``."""

    count: int | None = Field(default=None, ge=1, le=6)
    """Implants a side; None where not known."""

    shape: str | None = None
    """One of `SHAPES`; None where not known."""

    height_share: float = Field(default=1.0, gt=0, le=1)
    """Of a box or wedge: the cross-section's height as a share of its width, the diameter; at the thick end."""

    across_joint: bool = False
    """The cross-section's width lies across the joint instead of in it."""

    diameters_mm: Sizes | None = None
    """Diameters sold; None where no source gives them."""

    lengths_mm: Sizes | None = None
    """Lengths sold; None where no source gives them."""

    diameters_are_range: bool = False
    """The diameters are the smallest and the largest, not a list."""

    lengths_are_range: bool = False
    """The lengths are the smallest and the largest, not a list."""

    source: str = Field(min_length=1)
    """Where the sizes come from."""

    entered_by: str = ""
    """Who entered the sizes; required in a user's own file."""

    verified: bool = False
    """Whether someone has checked the sizes against the source."""

    def sizes(self) -> tuple[tuple[float, float], ...]:
        """``(diameter, length)`` of every size, mm; the diameter is the width of a cross-section that is not round.

        Raises
        ------
        ImplantError
            If this device cannot be planned with.
        """
        if self.diameters_mm is None or self.lengths_mm is None or self.shape is None:
            raise ImplantError(f"{self.id}: no sizes are known ({self.source}).", HOW_TO_ADD)
        listed = not (self.diameters_are_range or self.lengths_are_range)
        if (self.approach, self.count) != ("posterior", 1) or self.shape not in SHAPES or not listed:
            raise ImplantError(
                f"{self.id}: {self.count or 'an unknown number of'} x {self.shape}, {self.approach} approach, cannot "
                f"be planned; only a single posterior implant with listed sizes can, of shape {', '.join(SHAPES)}.",
                "Choose such an implant; `sacroplan implants` lists all.",
            )
        return tuple((d, length) for d in sorted(self.diameters_mm) for length in sorted(self.lengths_mm))


class UserImplant(Implant):
    """An entry of a user's own file: whoever adds sizes says who they are."""

    @model_validator(mode="after")
    def _named(self) -> UserImplant:
        if (self.diameters_mm or self.lengths_mm) and not self.entered_by.strip():
            raise ValueError("sizes need entered_by, the name of whoever entered them")
        return self


class Catalogue(BaseModel):
    """All implants, each id once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    implants: tuple[Implant, ...]

    @model_validator(mode="after")
    def _unique(self) -> Catalogue:
        names = [implant.id for implant in self.implants]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is listed twice")
        return self

    def find(self, identifier: str) -> Implant:
        """Entry with this id, upper or lower case.

        Raises
        ------
        ImplantError
            If there is none.
        """
        for implant in self.implants:
            if implant.id.upper() == identifier.upper():
                return implant
        known = ", ".join(implant.id for implant in self.implants)
        raise ImplantError(f"{identifier}: no such implant; known are {known}.", HOW_TO_ADD)

    def plannable(self, identifier: str) -> Implant:
        """Entry with this id, checked to be one that can be planned with.

        Raises
        ------
        ImplantError
            If there is none, its sizes are unknown, or it is not a single posterior implant of a known shape.
        """
        implant = self.find(identifier)
        implant.sizes()
        return implant


def load_catalogue(path: Path | None = None) -> Catalogue:
    """Read the catalogue that ships, and a user's own file over it: an entry with a known id replaces it.

    Raises
    ------
    ConfigError
        If the user's file cannot be read, or an entry is not valid; the message names the key.
    """
    shipped = tomllib.loads(files("planner").joinpath("implants.toml").read_text(encoding="utf-8"))
    entries = {entry.id: entry for entry in (Implant.model_validate(row) for row in shipped["implant"])}
    if path is not None:
        entries |= {entry.id: entry for entry in _read_user_file(path)}
    return Catalogue(implants=tuple(entries.values()))


def _read_user_file(path: Path) -> tuple[Implant, ...]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path.name}: not a readable TOML file ({error}).", HOW_TO_ADD) from error
    rows = table.get("implant")
    if set(table) != {"implant"} or not isinstance(rows, list):
        raise ConfigError(f"{path.name}: expected [[implant]] tables only, found {sorted(table)}.", HOW_TO_ADD)
    found = tuple(_user_entry(path.name, number, row) for number, row in enumerate(rows, start=1))
    try:
        return Catalogue(implants=found).implants
    except ValidationError as error:
        raise ConfigError(f"{path.name}: {error.errors()[0]['msg']}.", HOW_TO_ADD) from error


def _user_entry(name: str, number: int, row: object) -> Implant:
    try:
        return UserImplant.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "entry"
        raise ConfigError(f"{name}: implant {number}, {key}: {first['msg']}.", HOW_TO_ADD) from error
