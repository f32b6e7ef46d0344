"""Files that are no images cost little, however many."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.crowd import read_crowd


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is capped by what Linux tells")
def test_a_scan_is_found_among_thousands_of_files() -> None:
    few, many = read_crowd(10), read_crowd(3000)  # both load the readers, which costs more than the files
    assert few["slices"] == many["slices"] == 4
    assert many["more_mb"] - few["more_mb"] < 20
