"""TotalSegmentator, played by a module of the same interface: what it is asked, and what becomes of its answer."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from planner.backends.totalsegmentator import TotalSegmentator
from planner.errors import BackendError, ConfigError, LabelsError
from planner.foreign_classes import TOTALSEGMENTATOR
from planner.grid import Grid
from planner.labels import Label
from planner.volume import Volume

FAKE = Path(__file__).parents[2] / "support" / "fake_totalsegmentator"
GRID = Grid.from_spacing((5, 6, 7), (2.0, 0.7123456, 0.7123456), (-120.3337, 44.1111, -903.4567))
MODULES = ("totalsegmentator.python_api", "totalsegmentator")
VALUES = {Label.SACRUM: 25, Label.LUMBAR: 27, Label.LEFT_FEMUR: 75, Label.LEFT_HIP: 77, Label.RIGHT_HIP: 78}


@pytest.fixture
def fake(monkeypatch):
    """The module, installed until the test ends."""
    monkeypatch.syspath_prepend(str(FAKE))
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("totalsegmentator.python_api")
    for name in MODULES:
        sys.modules.pop(name, None)


def labelled(scan):
    """Each voxel's Hounsfield number names its class."""
    return SimpleITK.GetArrayFromImage(scan).astype(np.uint8)


def volume():
    hu = np.zeros(GRID.shape_zyx, np.int16)
    hu.reshape(-1)[: len(VALUES)] = list(VALUES.values())
    hu.reshape(-1)[len(VALUES)] = 51  # heart: no bone
    return Volume(hu, GRID)


def test_its_classes_become_our_labels_on_the_scans_grid(fake):
    fake.answer = labelled
    labels = TotalSegmentator.find().label_bones(volume())
    assert labels.values.reshape(-1)[: len(VALUES) + 1].tolist() == [*VALUES, 0]
    assert labels.grid is volume().grid or labels.grid.same_as(GRID, 0.0)


def test_it_is_asked_for_bones_alone_on_one_cpu_thread(fake):
    fake.answer = labelled
    TotalSegmentator.find().label_bones(volume())
    (call,) = fake.calls[-1:]
    assert call["shape_zyx"] == GRID.shape_zyx
    assert (call["task"], call["ml"], call["device"], call["threads"]) == ("total", True, "cpu", (1, 1))
    assert call["roi_subset"] == [entry.name for entry in TOTALSEGMENTATOR]
    assert not call["input"].exists()  # the patient's pixels are gone


def test_what_it_prints_is_not_our_result(fake, capsys):
    fake.answer = labelled
    TotalSegmentator.find().label_bones(volume())
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Using Device: cpu" in printed.err


@pytest.mark.parametrize("error", [RuntimeError("DOE^JANE"), SystemExit(1), OSError("no network")])
def test_its_failure_is_one_error_without_what_it_held(fake, error):
    def fail(scan):
        raise error

    fake.answer = fail
    with pytest.raises(BackendError, match=type(error).__name__) as told:
        TotalSegmentator.find().label_bones(volume())
    assert "DOE" not in str(told.value)
    assert told.value.exit_code == 1


def test_an_interrupt_is_no_failure_of_it(fake):
    def stop(scan):
        raise KeyboardInterrupt

    fake.answer = stop
    with pytest.raises(KeyboardInterrupt):
        TotalSegmentator.find().label_bones(volume())


def test_an_answer_without_bones_is_refused(fake):
    fake.answer = lambda scan: np.zeros(scan.GetSize()[::-1], np.uint8)
    with pytest.raises(LabelsError, match="found nothing, expected the sacrum and a hip bone"):
        TotalSegmentator.find().label_bones(volume())


def test_no_answer_is_told(fake, monkeypatch):
    monkeypatch.setattr(fake, "totalsegmentator", lambda **arguments: None)
    with pytest.raises(BackendError, match="wrote no labels"):
        TotalSegmentator.find().label_bones(volume())


def test_an_answer_on_another_grid_is_refused(fake, monkeypatch):
    def elsewhere(output, **arguments):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.full((2, 3, 4), 25, np.uint8)), str(output))

    monkeypatch.setattr(fake, "totalsegmentator", elsewhere)
    with pytest.raises(BackendError, match="another grid"):
        TotalSegmentator.find().label_bones(volume())


def test_a_package_that_cannot_be_imported_is_told(fake, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "totalsegmentator.python_api", None)
        with pytest.raises(BackendError, match="ModuleNotFoundError"):
            TotalSegmentator.find().label_bones(volume())


def test_its_absence_is_a_usage_error_with_the_command(monkeypatch):
    monkeypatch.setattr("planner.backends.totalsegmentator.find_spec", lambda name: None)
    with pytest.raises(ConfigError) as told:
        TotalSegmentator.find()
    assert told.value.exit_code == 2
    assert 'pip install "sacroplan[totalsegmentator]"' in str(told.value)


def test_a_version_that_pip_does_not_know_is_unknown(fake):
    assert TotalSegmentator.find().version == "unknown"


def test_it_is_never_imported_unasked():
    code = f"""
import sys
sys.path.insert(0, {str(FAKE)!r})
import planner.case
from planner.backends.totalsegmentator import TotalSegmentator
TotalSegmentator.find()
print([name for name in sys.modules if name.startswith("totalsegmentator")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
