"""The command reaches the viewer by name, and says what is missing."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

import pipelines.viewer
from pipelines.viewer import VIEWER_MODULE, open_review
from planner.errors import ConfigError


@pytest.fixture
def asked(monkeypatch):
    """A viewer that notes what it is asked for."""
    calls = []
    module = ModuleType(VIEWER_MODULE)
    module.review = lambda path, ct: calls.append((path, ct))
    monkeypatch.setitem(sys.modules, VIEWER_MODULE, module)
    monkeypatch.setattr(pipelines.viewer, "find_spec", lambda name: ModuleSpec(name, None))
    return calls


def test_the_folder_is_handed_on_by_its_whole_path(asked, tmp_path, monkeypatch):
    (tmp_path / "plan").mkdir()
    monkeypatch.chdir(tmp_path)
    open_review(pipelines.viewer.Path("plan"))
    assert asked == [(tmp_path / "plan", None)]


def test_a_scan_is_handed_on_too(asked, tmp_path):
    open_review(tmp_path, tmp_path)
    assert asked == [(tmp_path, tmp_path)]


def test_nothing_at_the_path_is_told(asked, tmp_path):
    with pytest.raises(ConfigError, match="nowhere: found nothing"):
        open_review(tmp_path / "nowhere")
    assert asked == []


def test_a_missing_viewer_is_told_with_the_command_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setattr(pipelines.viewer, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'no napari and no qtpy.*pip install "sacroplan\[viewer\]"'):
        open_review(tmp_path)
