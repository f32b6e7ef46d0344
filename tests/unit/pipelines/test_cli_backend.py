"""The command line's ways to other labels: told in the help, refused in one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from planner.backends.totalsegmentator import TotalSegmentator


def sacroplan(*arguments, cwd=None):
    command = [sys.executable, "-c", "from pipelines.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120, check=False)


@pytest.mark.parametrize("command", ["plan", "segment"])
def test_backend_without_its_package_is_a_usage_error_with_the_command(command, tmp_path):
    if TotalSegmentator.is_installed():
        pytest.skip("TotalSegmentator is installed here")
    done = sacroplan(command, "absent.nii.gz", "--out", "out", "--backend", "totalsegmentator", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert 'pip install "sacroplan[totalsegmentator]"' in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_labels_and_backend_together_are_a_usage_error(tmp_path):
    arguments = ("--backend", "totalsegmentator", "--labels", "seg.dcm")
    done = sacroplan("plan", "absent.nii.gz", "--out", "out", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "both given" in done.stderr


def test_unknown_backend_is_a_usage_error(tmp_path):
    done = sacroplan("plan", "absent.nii.gz", "--out", "out", "--backend", "guess", cwd=tmp_path)
    assert done.returncode == 2
    assert "shape-model" in done.stderr


def test_doctor_lists_the_optional_parts():
    told = sacroplan("doctor").stdout
    assert "GPU: " in told
    assert "totalsegmentator" in told
    assert "highdicom" in told
