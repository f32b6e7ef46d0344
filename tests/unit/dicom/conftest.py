"""A small CT on a grid that no axis order or sign leaves unchanged."""

from __future__ import annotations

import numpy as np
import pytest

from planner.grid import Grid

from support.dicom_files import body

SPACING_ZYX_MM = (1.25, 0.75, 0.5)
ORIGIN_LPS_MM = (-4.5, 3.25, 100.125)


@pytest.fixture
def hu() -> np.ndarray:
    return body()


@pytest.fixture
def grid(hu: np.ndarray) -> Grid:
    return Grid.from_spacing(hu.shape, SPACING_ZYX_MM, ORIGIN_LPS_MM)
