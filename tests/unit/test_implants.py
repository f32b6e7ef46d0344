"""The catalogue: what ships, what a user adds, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from planner.errors import ConfigError, ImplantError
from planner.implants import Catalogue, Implant, load_catalogue

ENTRY = """
[[implant]]
id = "LINQ"
maker = "PainTEQ"
approach = "posterior"
count = 1
shape = "cylinder"
diameters_mm = [9.0]
lengths_mm = [22.0, 18.0]
source = "maker's guide, page 3"
entered_by = "A. Surgeon"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_catalogue_holds_the_devices_of_the_clinical_notes() -> None:
    names = [implant.id for implant in load_catalogue().implants]
    assert names == ["GENERIC-DOWEL", "LINQ", "CATAMARAN", "IFUSE", "SIMMETRY", "SI-DESIS"]


def test_every_shipped_entry_has_a_source_and_none_claims_to_be_verified() -> None:
    for implant in load_catalogue().implants:
        assert implant.source
        assert not implant.verified


def test_the_default_dowel_has_nine_sizes_in_order() -> None:
    sizes = load_catalogue().plannable("generic-dowel").sizes()
    assert sizes == tuple((d, length) for d in (8.0, 10.0, 12.0) for length in (15.0, 20.0, 25.0))


def test_linq_has_no_sizes_and_is_refused_with_the_way_to_add_them() -> None:
    linq = load_catalogue().find("LINQ")
    assert linq.shape is linq.diameters_mm is linq.lengths_mm is None
    with pytest.raises(ImplantError, match=r"no sizes are known.*\[\[implant\]\].*entered_by.*--catalogue"):
        load_catalogue().plannable("LINQ")


@pytest.mark.parametrize("name", ["CATAMARAN", "IFUSE", "SIMMETRY"])
def test_other_approaches_and_shapes_are_refused_plainly(name: str) -> None:
    with pytest.raises(ImplantError, match="only a single posterior implant"):
        load_catalogue().plannable(name)


def test_an_unknown_implant_is_refused_with_those_known() -> None:
    with pytest.raises(ImplantError, match="no such implant; known are GENERIC-DOWEL, LINQ"):
        load_catalogue().find("NOTHING")


def test_a_user_file_replaces_an_entry_in_its_place(tmp_path: Path) -> None:
    catalogue = load_catalogue(write(tmp_path, ENTRY))
    assert [implant.id for implant in catalogue.implants] == [implant.id for implant in load_catalogue().implants]
    assert catalogue.plannable("LINQ").sizes() == ((9.0, 18.0), (9.0, 22.0))


def test_a_user_file_adds_an_entry(tmp_path: Path) -> None:
    catalogue = load_catalogue(write(tmp_path, ENTRY.replace("LINQ", "MINE")))
    assert catalogue.implants[-1].id == "MINE"
    assert len(catalogue.implants) == len(load_catalogue().implants) + 1


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('entered_by = "A. Surgeon"', "", "sizes need entered_by"),
        ('source = "maker\'s guide, page 3"', "", "implant 1, source"),
        ("diameters_mm = [9.0]", "diameters_mm = [-9.0]", "implant 1, diameters_mm.0"),
        ("diameters_mm = [9.0]", "diameters_mm = []", "implant 1, diameters_mm"),
        ("count = 1", "colour = 1", "implant 1, colour"),
        ("[[implant]]", "[[device]]", "expected .*implant"),
        ("[[implant]]", "[[implant", "not a readable TOML file"),
    ],
)
def test_a_bad_user_file_is_refused_and_the_key_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        load_catalogue(write(tmp_path, ENTRY.replace(old, new)))


def test_an_entry_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="LINQ is listed twice"):
        load_catalogue(write(tmp_path, ENTRY + ENTRY))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load_catalogue(tmp_path / "absent.toml")


def test_sizes_given_as_a_range_are_no_sizes_to_plan_with() -> None:
    dowel = load_catalogue().plannable("GENERIC-DOWEL")
    with pytest.raises(ImplantError, match="only a single posterior implant with listed sizes"):
        dowel.model_copy(update={"lengths_are_range": True}).sizes()


def test_entries_cannot_be_changed() -> None:
    implant = load_catalogue().implants[0]
    with pytest.raises(ValidationError, match="frozen"):
        implant.source = "elsewhere"


def test_an_id_appears_once_in_a_catalogue() -> None:
    implant = Implant(id="A", maker="none", approach="posterior", source="none")
    with pytest.raises(ValidationError, match="A is listed twice"):
        Catalogue(implants=(implant, implant))
