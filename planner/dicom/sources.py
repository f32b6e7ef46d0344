"""Where DICOM files come from: a folder of any depth, a zip archive, or one file. Nothing is unpacked to disk."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from os import walk
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol, cast

from planner.devices import is_device_fault
from planner.errors import UnreadableFileError

__all__ = ["FolderSource", "Source", "ZipSource", "open_source"]

ZIP_MAX_FILES = 200_000
"""Most members that an archive may list [P]."""
ZIP_MAX_BYTES = 64 * 2**30
"""Most bytes that an archive may unpack to [P]: a whole-body study at 1024 x 1024 stays below 10 GiB."""
ZIP_MAX_RATIO = 100.0
"""Largest size unpacked over size packed, above `ZIP_FREE_BYTES` [P]: CT packs 2-4 times; a bomb 1000 times."""
ZIP_FREE_BYTES = 256 * 2**20
"""Bytes that may unpack at any ratio [P]: a phantom of constant slices packs a thousand times."""
ZIP_ENCRYPTED_FLAG = 0x1
"""General purpose bit 0 of a zip member (APPNOTE.TXT 4.4.4)."""
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Packings that are unpacked: of LZMA and bzip2 a few bytes may ask for gigabytes."""
BROKEN_ZIP = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, LookupError, NotImplementedError, RuntimeError,
    struct.error,
)  # fmt: skip
"""What the standard library raises on a damaged directory of an archive: it seeks to any offset, decodes any name."""


class Source(Protocol):
    """Named binary files; a name is the path relative to the input, with forward slashes."""

    def names(self) -> list[str]:
        """Every file's name, sorted."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open one file for reading."""
        ...

    def size(self, name: str) -> int:
        """Bytes of one file, unpacked."""
        ...


class FolderSource:
    """The files below a folder, or one file; links to folders are not followed."""

    def __init__(self, path: Path) -> None:
        self._root = path if path.is_dir() else path.parent
        self._only = None if path.is_dir() else path.name

    def names(self) -> list[str]:
        """Every file's name, sorted."""
        if self._only is not None:
            return [self._only]
        found = (Path(folder, file) for folder, _, files in walk(self._root) for file in files)
        return sorted(path.relative_to(self._root).as_posix() for path in found if path.is_file())

    def open(self, name: str) -> BinaryIO:
        """Open one file for reading."""
        try:
            return (self._root / name).open("rb")
        except OSError as error:
            if is_device_fault(error):
                raise
            raise UnreadableFileError(
                f"{name}: found a file that cannot be opened ({error.strerror}), expected one to read.",
                "Check its permissions, or move it out of the folder.",
            ) from error

    def size(self, name: str) -> int:
        """Bytes of one file."""
        return (self._root / name).stat().st_size


class ZipSource:
    """The members of a zip archive, checked before any is read."""

    def __init__(self, archive: zipfile.ZipFile, label: str) -> None:
        self._archive, self._label = archive, label
        if not all(info.filename for info in archive.infolist()):
            raise _broken(label)
        self._members = [info for info in archive.infolist() if not info.is_dir()]
        _check_archive(self._members, label)

    def names(self) -> list[str]:
        """Every member's name, sorted."""
        return sorted(info.filename for info in self._members)

    def open(self, name: str) -> BinaryIO:
        """Open one member for reading."""
        try:
            return cast(BinaryIO, self._archive.open(name))
        except BROKEN_ZIP as error:
            raise _broken(self._label, error) from error

    def size(self, name: str) -> int:
        """Bytes of one member, unpacked."""
        return self._archive.getinfo(name).file_size


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open a folder, a zip archive or a single file.

    Raises
    ------
    UnreadableFileError
        If an archive is damaged, encrypted, too large, or names files outside itself.
    """
    if path.is_dir() or not zipfile.is_zipfile(path):
        yield FolderSource(path)
        return
    with _opened(path) as archive:
        source = ZipSource(archive, path.name)
        try:
            yield source
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:  # met while a member is read
            raise _broken(path.name) from error


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except BROKEN_ZIP as error:
        raise _broken(path.name, error) from error


def _broken(label: str, error: Exception | None = None) -> Exception:
    if error is not None and is_device_fault(error):
        return error
    return UnreadableFileError(
        f"{label}: found a damaged zip archive or an unknown packing, expected a whole one.",
        "Export the study again, or give the unpacked folder.",
    )


def _check_archive(members: list[zipfile.ZipInfo], label: str) -> None:
    _check_names(members, label)
    _check_sizes(members, label)


def _check_names(members: list[zipfile.ZipInfo], label: str) -> None:
    for info in members:
        if info.flag_bits & ZIP_ENCRYPTED_FLAG:
            raise UnreadableFileError(
                f"{label}: found the encrypted member {info.filename}, expected an open archive.",
                "Unpack it with its password and give the folder.",
            )
        if info.compress_type not in PACKINGS:
            raise _broken(label)
        path = PurePosixPath(info.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise UnreadableFileError(
                f"{label}: found the member {info.filename}, expected names inside the archive.",
                "The archive is hostile or broken; export the study again.",
            )


def _check_sizes(members: list[zipfile.ZipInfo], label: str) -> None:
    packed = max(sum(info.compress_size for info in members), 1)
    unpacked = sum(info.file_size for info in members)
    bomb = unpacked > ZIP_FREE_BYTES and unpacked / packed > ZIP_MAX_RATIO
    if bomb or unpacked > ZIP_MAX_BYTES or len(members) > ZIP_MAX_FILES:
        raise UnreadableFileError(
            f"{label}: found {len(members)} files of {unpacked} bytes packed into {packed}, expected at most "
            f"{ZIP_MAX_FILES} files, {ZIP_MAX_BYTES} bytes and a ratio of {ZIP_MAX_RATIO:g}.",
            "Unpack it yourself, check it, and give the folder.",
        )
