"""A batch collects what it no longer uses after every case; what the tests' own process holds is left out of that."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture(autouse=True)
def _held_by_the_tests():
    gc.freeze()
    yield
    gc.unfreeze()
