"""A full disk is no case's fault: known by an error's number, or by there being nothing free when something fails."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["FULL", "blaming_the_disk", "is_full"]

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system says of a full disk, or a quota that is used up."""
LEAST_FREE_BYTES = 65_536
"""Less than this free, and writing is what has failed: libraries say so in words of their own [P]."""


def is_full(error: BaseException, folder: Path) -> bool:
    """Tell whether an error comes of a full disk.

    Parameters
    ----------
    error : Exception
        Just raised: what was half written is still there.
    folder : Path
        Where it was written.
    """
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    return folder.is_dir() and shutil.disk_usage(folder).free < LEAST_FREE_BYTES


@contextmanager
def blaming_the_disk(folder: Path) -> Iterator[None]:
    """Turn every error of the block that comes of a full disk into one that says so.

    Raises
    ------
    OSError
        ``ENOSPC``.
    """
    try:
        yield
    except Exception as error:
        if is_full(error, folder):
            raise OSError(errno.ENOSPC, "The disk is full.") from error
        raise
