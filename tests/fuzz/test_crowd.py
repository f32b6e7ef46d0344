"""Files that are no images cost little, however many."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.crowd import read_crowd


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is capped by what Linux tells")
def test_a_scan_is_found_among_thousands_of_files() -> None:
    found = read_crowd(3000)
    assert found["slices"] == 4
    assert found["more_mb"] < 50
