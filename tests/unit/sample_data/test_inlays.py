from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from planner.grid import Grid
from sample_data.inlays import Inlay, InlayKind, Row, inlay_mask, paint_inlays
from sample_data.streaks import add_streaks

ROW: Row = (-6.0, 2.0, -3.0, 9.0, -4.0, 5.0, 5.0, 3.0)


def turned_grid() -> Grid:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (20, -35, 50), degrees=True).as_matrix()[:, ::-1] * [0.9, 1.1, 0.7]
    matrix[:3, 3] = -matrix[:3, :3] @ [25.0, 22.0, 30.0]
    return Grid((51, 45, 61), matrix)


def depth(points: np.ndarray, row: Row) -> np.ndarray:
    """Distance to a tapered capsule, the slow way."""
    a, b = np.array(row[:3]), np.array(row[3:6])
    t = np.clip((points - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
    return np.linalg.norm(points - a - t[..., None] * (b - a), axis=-1) - (row[6] + t * (row[7] - row[6]))


def test_a_capsule_is_painted_where_it_lies_on_any_grid() -> None:
    grid = turned_grid()
    away = depth(grid.to_lps(np.stack(np.indices(grid.shape_zyx), axis=-1)), ROW)
    mask = inlay_mask(grid, [Inlay(InlayKind.CONTRAST, (ROW,), 300.0)])
    assert ((mask == InlayKind.CONTRAST) == (away < 0))[np.abs(away) > 0.01].all()


def test_a_shell_has_a_core_and_only_what_was_asked_for_is_painted() -> None:
    grid = turned_grid()
    away = depth(grid.to_lps(np.stack(np.indices(grid.shape_zyx), axis=-1)), ROW)
    hu = np.full(grid.shape_zyx, 50.0, np.float32)
    shell = Inlay(InlayKind.OTHER_BONE, (ROW,), 900.0, shell_mm=1.5, core_hu=200.0)
    paint_inlays(hu, grid, [shell], over_bone=True)
    assert (hu == 50.0).all()
    paint_inlays(hu, grid, [shell], over_bone=False)
    assert hu[away > 1.0].max() == 50.0
    assert hu[away < -2.5] == pytest.approx(200.0)
    assert hu[np.abs(away + 0.75) < 0.2].min() > 800.0


def test_later_inlays_win() -> None:
    grid = Grid.from_spacing((9, 9, 9), 1.0, (-4.0, -4.0, -4.0))
    ball: Row = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 3.0)
    both = [Inlay(InlayKind.TISSUE, (ball,), 40.0), Inlay(InlayKind.METAL, (ball,), 3000.0)]
    assert set(np.unique(inlay_mask(grid, both))) == {0, InlayKind.METAL}


def test_streaks_are_dark_between_two_pieces_of_metal_and_nowhere_without() -> None:
    hu = np.zeros((2, 120, 160), np.float32)
    metal = np.zeros(hu.shape, bool)
    metal[1, 50:70, 30:50] = metal[1, 50:70, 110:130] = True
    add_streaks(hu, metal, (1.0, 1.0))
    assert not hu[0].any()
    assert hu[1, 55:65, 65:95].mean() < -20.0
    assert abs(hu[1, 5:20, 65:95].mean()) < abs(hu[1, 55:65, 65:95].mean()) / 3
    assert hu[1, :, :].std() > 10.0
