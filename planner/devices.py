"""What the machine fails with: disks and network shares, whose files may be whole, and memory."""

from __future__ import annotations

import errno

__all__ = ["describe_fault", "is_device_fault", "is_no_memory"]

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""No room: disk, quota, or the largest file that is allowed."""
FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}
"""Not ours to write or read."""
BROKEN = {
    errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN,
    errno.ENETUNREACH, errno.ECONNRESET, errno.ECONNABORTED, errno.ENODEV, errno.ENXIO, errno.EREMOTEIO,
}  # fmt: skip
"""A disk that fails, or a share that went away or timed out."""
SPENT = {errno.EMFILE, errno.ENFILE}
"""No file can be opened any more."""
UNALLOCATED = ("can't start new thread", "Failed to allocate memory")
"""What Python and ITK say as a `RuntimeError` where memory has run out."""


def is_device_fault(error: BaseException) -> bool:
    """Whether an error tells of the disk or share, not of what the file holds."""
    return isinstance(error, OSError) and error.errno in BROKEN | SPENT


def is_no_memory(error: BaseException) -> bool:
    """Whether memory has run out, whichever way a library says so."""
    spoken = isinstance(error, RuntimeError) and any(words in str(error) for words in UNALLOCATED)
    return spoken or isinstance(error, MemoryError)


def describe_fault(error: OSError) -> str:
    """Say in words what failed and what to do; no file is named, for its name may name a patient."""
    reason = error.strerror or type(error).__name__
    if error.errno in FULL:
        return f"there is no room left to write to ({reason}). Free some space, or name another place with --out."
    if error.errno in FORBIDDEN:
        return f"a file may not be read or written ({reason}). Check the permissions, or name another place with --out."
    if error.errno in BROKEN:
        return f"a disk or network share failed ({reason}). Check it, and start again."
    if error.errno in SPENT:
        return f"no more files can be opened ({reason}). End other programs, or raise the limit (ulimit -n)."
    return f"the system refused an operation on a file ({reason}). Check that input and output stay in place."
