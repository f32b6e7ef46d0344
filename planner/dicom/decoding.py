"""Frames of a series, decoded in processes of their own where that saves time.

Decoders hold Python's lock, so threads do not help. The workers are plain subprocesses that run this module: they need
no guard in the caller's script, work inside other pools, and fork nothing. Frames come back in the order asked for, so
the number of workers changes nothing but the time.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import RLELossless

from planner.dicom.headers import Instance
from planner.dicom.pixels import NATIVE, frame_words
from planner.dicom.sources import open_source
from planner.errors import UnreadableFileError
from planner.source import Window

__all__ = ["decoded_words", "is_compressed"]

Words = NDArray[np.uint16]
Frame = tuple[Instance, int]

QUICK = {*NATIVE, str(RLELossless)}
"""Transfer syntaxes that are read in less time than it takes to hand a frame over."""
WORTH_PIXELS = 100 * 512 * 512
"""Compressed pixels from which workers pay: each takes about a second to start, a slice of 512 x 512 20-40 ms."""
MOST_WORKERS = 4
"""Workers at most: beyond it, handing frames over takes the time."""


def is_compressed(instance: Instance) -> bool:
    """Whether a frame must be decoded to be read."""
    return instance.transfer_syntax not in NATIVE


def decoded_words(path: Path, frames: Sequence[Frame], window: Window | None = None) -> Iterator[Words]:
    """Read stored words of frames, in the order given; by workers where the decoding is long.

    Raises
    ------
    UnreadableFileError
        If a frame cannot be decoded.
    """
    workers = _worker_count(frames)
    if workers < 2:
        with open_source(path) as source:
            yield from frame_words(source, frames, window)
        return
    with ExitStack() as stack:
        shares = [frames[k::workers] for k in range(workers)]
        streams = [stack.enter_context(_worker(path, share)) for share in shares]
        for k, frame in enumerate(frames):
            words = _received(streams[k % workers], path, frame)
            yield words if window is None else words[window]


def _worker_count(frames: Sequence[Frame]) -> int:
    slow = sum(i.rows * i.columns for i, _ in frames if i.transfer_syntax not in QUICK)
    return min(_cores(), MOST_WORKERS) if slow >= WORTH_PIXELS else 1


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _worker(path: Path, frames: Sequence[Frame]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a worker, and end it whatever happens."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdin is not None
        pickle.dump((path, list(frames)), process.stdin)
        process.stdin.close()
        yield process
    finally:
        process.kill()
        assert process.stdout is not None
        process.stdout.close()
        process.wait()


def _received(process: subprocess.Popen[bytes], path: Path, frame: Frame) -> Words:
    """Take a worker's next frame; of one that has died, the frame is decoded here."""
    assert process.stdout is not None
    try:
        found = pickle.load(process.stdout)
    except (EOFError, pickle.UnpicklingError):
        with open_source(path) as source:
            return next(frame_words(source, [frame]))
    if isinstance(found, UnreadableFileError):
        raise found
    words: Words = found
    return words


def main() -> None:
    """Answer one request on stdin with pickled frames on stdout; the last answer may be an error."""
    path, frames = pickle.load(sys.stdin.buffer)
    try:
        with open_source(path) as source:
            for words in frame_words(source, frames):
                pickle.dump(words, sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)
    except UnreadableFileError as error:
        pickle.dump(error, sys.stdout.buffer)


if __name__ == "__main__":
    main()
