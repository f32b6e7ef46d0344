"""What the machine fails with is told in words, with exit code 1, and names no file."""

from __future__ import annotations

import errno
import os

import pytest

from pipelines.cli import EXIT_FAILED, guarded
from planner.devices import describe_fault, is_device_fault


def raising(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no room left"),
        (errno.EDQUOT, "no room left"),
        (errno.EROFS, "may not be read or written"),
        (errno.EACCES, "may not be read or written"),
        (errno.EIO, "disk or network share failed"),
        (errno.ESTALE, "disk or network share failed"),
        (errno.ETIMEDOUT, "disk or network share failed"),
        (errno.EMFILE, "no more files can be opened"),
        (errno.ENOENT, "refused an operation"),
    ],
)
def test_each_fault_has_its_words(number, words, capsys):
    assert guarded(raising(OSError(number, os.strerror(number), "/data/DOE^JANE/1.dcm"))) == EXIT_FAILED
    said = capsys.readouterr().err
    assert words in said
    assert "Nothing half-written is left." in said
    assert "DOE" not in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("can't start new thread"),
        RuntimeError("Exception thrown in SimpleITK: Failed to allocate memory for image."),
    ],
)
def test_no_memory_is_told(error, capsys):
    assert guarded(raising(error)) == EXIT_FAILED
    assert "not enough memory" in capsys.readouterr().err


def test_other_errors_of_the_kind_are_defects(capsys):
    assert guarded(raising(RuntimeError("dictionary changed size"))) == EXIT_FAILED
    assert "defect" in capsys.readouterr().err


def test_a_closed_pipe_is_no_defect(capsys, monkeypatch):
    import sys

    monkeypatch.setattr(sys, "stdout", sys.stdout)
    assert guarded(raising(BrokenPipeError())) == EXIT_FAILED
    assert capsys.readouterr().err == ""
    sys.stdout.close()


def test_devices_are_told_from_damage():
    assert is_device_fault(OSError(errno.EIO, "x"))
    assert not is_device_fault(OSError(errno.EINVAL, "x"))
    assert not is_device_fault(OSError("no file of this kind"))
    assert not is_device_fault(ValueError("x"))
    assert describe_fault(OSError("odd")).startswith("the system refused")
