"""The Python interface: a case from memory, without files, is the case from files."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import planner
from planner import CaseSettings, Grid, Volume, plan_case
from planner.errors import GeometryError, NotHounsfieldError
from planner.images import write_volume
from planner.labels import Side
from planner.reading import read_scan, scan_of

from support.dicom_files import body

SMALL = Grid.from_spacing((6, 32, 40), (2.0, 1.0, 1.0), (-20.0, -16.0, 100.0))


def test_a_case_in_memory_is_that_of_its_file(phantom, tmp_path):
    before = phantom.volume.hu.copy()
    told = plan_case(phantom.volume, CaseSettings(sides=(Side.LEFT,)))
    write_volume(tmp_path / "ct.nii.gz", phantom.volume)
    again = plan_case(tmp_path / "ct.nii.gz", CaseSettings(sides=(Side.LEFT,)))
    assert told.document.to_json() == again.document.to_json()
    assert told.plans[Side.LEFT].status == "planned"
    assert told.origin is None
    assert np.array_equal(phantom.volume.hu, before)


def test_a_scan_in_memory_is_not_copied():
    volume = Volume(body(), SMALL)
    assert np.shares_memory(next(scan_of(volume).source.planes([3])), volume.hu)


def test_a_scan_in_memory_has_the_checks_of_a_file(tmp_path):
    coarse = Volume(body(), Grid.from_spacing((6, 32, 40), (4.0, 1.0, 1.0)))
    write_volume(tmp_path / "ct.nii.gz", coarse)
    ours, theirs = scan_of(coarse), read_scan(tmp_path / "ct.nii.gz")
    assert ours.findings == theirs.findings
    assert "slice-spacing" in {finding.code for finding in ours.findings}
    assert np.array_equal(ours.cells.histogram, theirs.cells.histogram)


def test_a_sheared_scan_in_memory_is_refused():
    matrix = SMALL.lps_from_zyx.copy()
    matrix[1, 0] = 0.4
    with pytest.raises(GeometryError, match="not at right angles"):
        plan_case(Volume(body(), Grid(SMALL.shape_zyx, matrix)))


def test_labels_are_no_ct():
    labels = np.zeros((6, 32, 40), np.int16)
    labels[2:4, 5:9, 5:9] = 3
    with pytest.raises(NotHounsfieldError, match="as in labels"):
        plan_case(Volume(labels, SMALL))


def test_every_name_of_the_interface_is_there():
    assert all(hasattr(planner, name) for name in planner.__all__)
    with pytest.raises(AttributeError, match="no attribute 'plan_knee'"):
        planner.plan_knee  # noqa: B018


def test_stages_are_imported_when_asked_for():
    """The command line answers --help and --version without loading numba."""
    script = "import sys, planner; print(sorted(name for name in sys.modules if name.startswith('planner')))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['planner']"
