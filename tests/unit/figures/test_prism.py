"""Implants that are not round are drawn as they were planned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.spatial.transform import Rotation

from planner.figures import FigureCase
from planner.figures.model import Cylinder, Prism
from planner.figures.panel import draw_ring
from planner.figures.planes import Plane
from planner.figures.render import cast_implant
from planner.implants import Implant
from planner.labels import Side
from planner.trajectory import exact
from planner.trajectory.section import section_of

TURN = Rotation.from_euler("zyx", [20, -35, 50], degrees=True)
WAY, ALONG, OUT = TURN.as_matrix().T
ENTRY = np.array([3.0, -8.0, 11.0])
TIP = ENTRY + 20.0 * WAY
SHAPES = ("box", "triangular rod", "twin barrel")


def corners_of(shape: str) -> np.ndarray:
    sizes = {"diameters_mm": (8.0,), "lengths_mm": (20.0,), "count": 1}
    told = {"id": "D", "maker": "none", "approach": "posterior", "source": "test", "shape": shape}
    corners = section_of(Implant.model_validate(told | sizes)).scaled(8.0)
    assert corners is not None
    return corners


def drawn(shape: str) -> Prism:
    return Prism(ENTRY, TIP, 4.0, corners_of(shape) @ np.stack([ALONG, OUT]))


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_drawn_is_what_clearances_are_measured_from(shape: str) -> None:
    corners, points = corners_of(shape), ENTRY + np.random.default_rng(1).normal(scale=12, size=(2000, 3))
    planned = exact.Prism(ENTRY, TIP, 9.0, corners, np.stack([ALONG, OUT]))
    outside, distance = drawn(shape).outside_mm(points), planned.distance(points)
    assert ((outside <= 0) == (distance == 0)).all()
    assert (outside <= distance + 1e-9).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_rays_meet_it_on_its_surface(shape: str) -> None:
    implant = drawn(shape)
    plane = Plane(implant.centre_lps + 60 * OUT, WAY, np.cross(OUT, WAY), (15.0, 15.0), 0.5)
    depth = cast_implant(implant, plane)
    points = plane.points_lps() - depth[..., None] * np.cross(plane.right_lps, plane.up_lps)
    met = np.isfinite(depth)
    assert implant.outside_mm(points[met]) == pytest.approx(0, abs=1e-4)
    silhouette = np.ptp(implant.rim_lps @ plane.up_lps) * implant.length_mm
    assert met.sum() * plane.pixel_mm**2 == pytest.approx(silhouette, rel=0.12)


def test_rays_along_a_face_miss_what_they_pass_beside() -> None:
    depth = drawn("box").met_mm(drawn("box").centre_lps + np.array([[0.0], [3.9], [4.1]]) * ALONG - 50 * OUT, OUT)
    assert np.isfinite(depth).tolist() == [True, True, False]


@pytest.mark.parametrize("implant", [drawn("box"), drawn("triangular rod"), Cylinder(ENTRY, TIP, 4.0)])
def test_the_ring_lies_three_millimetres_round_it(implant: Cylinder) -> None:
    axes = Figure().add_subplot()
    draw_ring(axes, implant, Plane(implant.centre_lps, ALONG, OUT, (20.0, 20.0)), 3.0)
    ring = axes.patches[0].get_xy()
    rim = implant.rim_lps @ np.stack([ALONG, OUT]).T
    sides = np.linspace(0, 1, 200)[:, None, None]
    edge = ((1 - sides) * rim + sides * np.roll(rim, -1, axis=0)).reshape(-1, 2)
    least = np.linalg.norm(ring[:, None] - edge, axis=2).min(axis=1)
    assert least == pytest.approx(3.0, abs=0.01)


def test_a_candidate_with_a_section_is_drawn_as_a_prism(case: FigureCase) -> None:
    best = case.best(Side.LEFT)
    assert best is not None
    assert type(Cylinder.of(best)) is Cylinder
    across = np.array([[0.0, 0, 1], [1, 0, 0]])
    flat = Cylinder.of(replace(best, section_mm=corners_of("box"), across_lps=across))
    assert isinstance(flat, Prism)
    assert np.ptp(flat.rim_lps, axis=0) == pytest.approx(np.ptp(corners_of("box") @ across, axis=0))
    assert flat.rims_lps().shape == (8, 3)
