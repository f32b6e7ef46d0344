"""How far from the midline the neural keep-outs reach, on a canal with one channel across in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from planner.grid import Grid
from planner.keepout.canal import CentreLine
from planner.keepout.mouths import Mouth
from planner.keepout.paint import paint
from planner.keepout.region import SacrumRegion
from planner.labels import Keepout, Side, foramen_value
from planner.segmentation.model import PelvicFrame

GRID = Grid.from_spacing((60, 40, 140), 1.0, (-70.0, -20.0, -30.0))
FRAME = PelvicFrame(np.eye(4))
LINE = CentreLine(np.array([[0.0, 0.0, z] for z in range(25, -26, -1)], float))
OUT = np.array([[0.0, 0.0, 1.0]])


def painted(left_to_mm: float) -> np.ndarray:
    """Paint a canal 12 mm wide with a channel of 8 mm that runs to the left."""
    x, y, z = np.moveaxis(GRID.to_lps(np.moveaxis(np.indices(GRID.shape_zyx), 0, -1)), -1, 0)
    network = (np.hypot(x, y) < 6) & (np.abs(z) < 25)
    network |= (np.hypot(y, z) < 4) & (x >= 0) & (x <= left_to_mm)
    nothing, everything = np.zeros(network.shape, bool), np.ones(network.shape, bool)
    box = tuple(slice(0, n) for n in GRID.shape_zyx)
    hu = np.full(network.shape, 40.0, np.float32)
    region = SacrumRegion(box, GRID, nothing, nothing, everything, everything, True, hu, 200.0)
    mouth = Mouth(Side.LEFT, "ventral", np.array([28.0, 0.0, 0.0]), 25.0, 28.0, 8.0, 50.0, OUT[0], level=0)
    return paint(network, network, region, LINE, FRAME, [mouth])


def farthest_mm(values: np.ndarray, value: int) -> float:
    return float(GRID.to_lps(np.argwhere(values == value))[:, 0].max())


@pytest.mark.parametrize("left_to_mm", [30.0, 40.0, 55.0, 65.0])
def test_nothing_neural_is_painted_far_aside(left_to_mm):
    """A channel is painted to its end and a little out of its mouth, but no farther than the outermost foramen."""
    reached = farthest_mm(painted(left_to_mm), foramen_value(Side.LEFT, "S1"))
    assert reached == pytest.approx(min(left_to_mm + 1.0, 45.0), abs=0.5)


def test_the_canal_keeps_its_own_value_beside_a_channel():
    values = painted(55.0)
    assert farthest_mm(values, Keepout.CANAL) < 12.0
    assert values[tuple(np.round(GRID.to_index((0.0, 0.0, 10.0))).astype(int))] == Keepout.CANAL
