"""A phantom, planned once; and a window to review it in, where napari and a display are at hand."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys

import numpy as np
import pytest

from pipelines.results import write_case
from planner.case import CaseSettings, plan_case
from planner.images import write_volume

NEEDED = ("napari", "qtpy", "pytestqt")


@pytest.fixture(scope="session")
def planned(tmp_path_factory, phantom):
    """Result folder of the 2 mm phantom, its scan beside it; not to be written to."""
    folder = tmp_path_factory.mktemp("planned")
    write_volume(folder / "ct.nii.gz", phantom.volume)
    write_case(plan_case(folder / "ct.nii.gz", CaseSettings()), folder / "plan", figures=False)
    return folder / "plan"


@pytest.fixture(scope="session")
def case(planned):
    """The result folder, read back with its scan."""
    from napari_sacroplan.reopen import reopen

    return reopen(planned)


@pytest.fixture
def own_folder(planned, tmp_path):
    """A copy of the result folder, to write to."""
    shutil.copytree(planned, tmp_path / "plan")
    (tmp_path / "ct.nii.gz").symlink_to(planned.parent / "ct.nii.gz")
    return tmp_path / "plan"


@pytest.fixture
def boxed(own_folder):
    """The same, as if a box of one's own, 8 x 4 mm, had been planned in the places of the dowel."""
    path = own_folder / "plan.json"
    plan = json.loads(path.read_text())
    for entry in plan["sides"].values():
        for one in entry["candidates"]:
            way = np.subtract(one["implant_tip_lps_mm"], one["implant_entry_lps_mm"])
            along = np.cross(np.cross(way, (0.0, 0.0, 1.0)), way)
            across = [axis / np.linalg.norm(axis) for axis in (along, np.cross(along, way))]
            corners = [[4, 2], [-4, 2], [-4, -2], [4, -2]]
            one["implant"] |= {"id": "MY-BOX", "diameter_mm": 8.0}
            one["section"] = {"corners_mm": corners, "across_lps": np.round(across, 6).tolist()}
    path.write_text(json.dumps(plan))
    manifest = json.loads((own_folder / "manifest.json").read_text())
    manifest["settings"]["implant"] = "MY-BOX"
    (own_folder / "manifest.json").write_text(json.dumps(manifest))
    return own_folder


@pytest.fixture
def session(case):
    """A review that writes nothing."""
    from napari_sacroplan.session import Session

    return Session(case, name="A. Tester")


@pytest.fixture
def window(request):
    """A napari viewer with the review dock, closed after the test."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the viewer is not installed (no {', '.join(missing)}): pip install -e '.[viewer-dev]'")
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        pytest.skip("no display: run under xvfb-run -a -s '-screen 0 1366x768x24'")
    qtbot = request.getfixturevalue("qtbot")
    from napari_sacroplan.review import make_viewer

    viewer, dock = make_viewer()
    viewer.window.resize(1366, 768)
    yield viewer, dock, qtbot
    dock.close_case()
    viewer.close()


def near(a, b, tolerance=1e-6):
    """Whether two points are the same."""
    return bool(np.abs(np.asarray(a) - np.asarray(b)).max() <= tolerance)
