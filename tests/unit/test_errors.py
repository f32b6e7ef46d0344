"""The error tree is the one drawn in its module's docstring."""

from __future__ import annotations

import re

import pytest

from planner import errors


def test_every_error_is_drawn_and_every_drawn_error_exists():
    drawn = set(re.findall(r"\w+Error", errors.__doc__))
    assert drawn == set(errors.__all__)


@pytest.mark.parametrize(("name", "code"), [("GeometryError", 3), ("NoPelvisError", 3), ("ConfigError", 2)])
def test_exit_codes_are_those_of_the_contract(name, code):
    assert getattr(errors, name).exit_code == code


def test_message_holds_what_and_remedy():
    error = errors.GeometryError("slice 4 is missing.", "Export the series again.")
    assert str(error) == "slice 4 is missing. Export the series again."
    assert (error.what, error.remedy) == ("slice 4 is missing.", "Export the series again.")
