"""How a result gets to its place: written beside it, then put there in one step, so that it is whole or not there.

While it is written a folder is readable by its owner alone and locked. What a process that was killed left has no lock
any more, and is cleared away by the next one that writes there.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from planner.decisions import RECORD as REVIEW
from planner.errors import ConfigError

__all__ = ["MANIFEST", "REVIEW", "complete_or_absent"]

MANIFEST = "manifest.json"
"""Written last into a result."""

OWNER_ONLY = 0o700
"""Permissions of a folder that is being written."""
FOLDER = 0o777
"""Permissions of a finished one, less the umask."""
AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""Arguments of renameat2(2): names are relative to the working directory; two folders change places in one step."""
NOT_OFFERED = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM}
"""What a system or file system answers that cannot let two folders change places."""


def _is_result(folder: Path) -> bool:
    return (folder / MANIFEST).is_file()


@contextmanager
def complete_or_absent(folder: Path, is_ours: Callable[[Path], bool] = _is_result) -> Iterator[Path]:
    """Give a scratch folder beside `folder` that takes its place if the block ends well, and vanishes if it does not.

    Raises
    ------
    planner.errors.ConfigError
        If `folder` is there and holds a review, or is neither empty nor `is_ours`, or its parent cannot be written to.
    """
    folder = folder.absolute()
    _check_replaceable(folder, is_ours)
    scratch = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _clear_up(folder)
        lock = _make_locked(scratch)
    except OSError as error:
        raise ConfigError(
            f"{folder}: cannot be written ({error.strerror}).", "Name another folder with --out."
        ) from error
    try:
        yield scratch
        scratch.chmod(FOLDER & ~_umask())
        _check_replaceable(folder, is_ours)  # someone may have begun to review the earlier result
        _take_place(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _check_replaceable(folder: Path, is_ours: Callable[[Path], bool]) -> None:
    if (folder / REVIEW).exists():
        raise ConfigError(
            f"{folder} holds the record of a review ({REVIEW}), which is never overwritten.",
            "Name another folder with --out.",
        )
    if folder.exists() and not (folder.is_dir() and (is_ours(folder) or not any(folder.iterdir()))):
        raise ConfigError(
            f"{folder} is already there and is not a result of sacroplan.", "Name another folder with --out."
        )


def _make_locked(scratch: Path) -> int | None:
    """Make the folder and lock it; again where another process took it for a dead one's in between."""
    while True:
        scratch.mkdir(mode=OWNER_ONLY)
        lock = _lock(scratch)
        if lock is None or (scratch.exists() and os.path.samestat(os.fstat(lock), scratch.stat())):
            return lock
        os.close(lock)


def _lock(folder: Path) -> int | None:
    """Descriptor that holds a folder's lock until it is closed or its processes end; None where locks are not known."""
    if sys.platform == "win32":
        return None
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:  # a file system without locks: nothing is known of the owner, and nothing is cleared up
        os.close(descriptor)
        return None
    return descriptor


def _clear_up(folder: Path) -> None:
    """Remove what killed processes left beside `folder`; an earlier result that was being replaced goes back."""
    for left in sorted(folder.parent.glob(f".{_literal(folder.name)}.partial-*")):
        try:
            lock = _lock(left)
        except OSError:  # another process is at work there
            continue
        if lock is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(lock)
    for earlier in sorted(folder.parent.glob(f".{_literal(folder.name)}.earlier-*")):
        if folder.exists():
            shutil.rmtree(earlier, ignore_errors=True)
        else:
            earlier.rename(folder)


def _literal(name: str) -> str:
    """Name as a glob pattern."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _take_place(scratch: Path, folder: Path) -> None:
    """Put a finished folder into its place; of two runs that end at once, the later one's result stays."""
    try:
        scratch.rename(folder)  # nothing there, or an empty folder
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES):
            raise
        if not _exchange(scratch, folder):
            _replace_in_two_steps(scratch, folder)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step; False where the system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        return False
    if rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in NOT_OFFERED:
        return False
    raise OSError(number, os.strerror(number))


def _replace_in_two_steps(scratch: Path, folder: Path) -> None:
    """Replace a folder where it takes two steps; killed between them, `_clear_up` puts the earlier result back."""
    earlier = folder.with_name(f".{folder.name}.earlier-{os.getpid()}")
    folder.rename(earlier)
    scratch.rename(folder)
    shutil.rmtree(earlier, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
