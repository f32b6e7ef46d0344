"""Which files an export holds: all below a folder, or those that a DICOMDIR names."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path, PurePath

from pydicom.errors import InvalidDicomError

from planner.dicom.headers import PARSER_ERRORS
from planner.dicom.parsing import parse
from planner.errors import UnreadableFileError

__all__ = ["export_files", "export_root"]

DIRECTORY = "DICOMDIR"
"""File ID of a directory (PS3.10 8.6)."""


def export_root(export: Path) -> Path:
    """Folder that the files' names are relative to.

    Raises
    ------
    UnreadableFileError
        If there is nothing there, or a file that is no DICOMDIR.
    """
    if export.is_dir():
        return export.absolute()
    if export.is_file() and export.name.upper() == DIRECTORY:
        return export.absolute().parent
    raise UnreadableFileError(
        f"{export.name}: found no folder and no DICOMDIR, expected an export of studies.",
        "Give the folder or the DICOMDIR file; unpack an archive first.",
    )


def export_files(export: Path, leave_out: Path) -> Iterator[str]:
    """Give every file's name relative to the root, folder by folder, sorted.

    Parameters
    ----------
    export : Path
        Folder, or DICOMDIR.
    leave_out : Path
        Folder whose content is not part of the export: our own results, which may lie inside.
    """
    if export.is_dir():
        yield from _below(export.absolute(), leave_out.absolute())
    else:
        yield from _named(export)


def _below(root: Path, leave_out: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if Path(folder, name) != leave_out)
        for name in sorted(files):
            path = Path(folder, name)
            if path.is_file():  # no socket, no pipe
                yield str(path.relative_to(root))


def _named(directory: Path) -> Iterator[str]:
    root = directory.absolute().parent
    try:
        with warnings.catch_warnings(), directory.open("rb") as stream:
            warnings.simplefilter("ignore")  # file names that break the standard still name files
            records = parse(stream).DirectoryRecordSequence
            names = [_file_id(record.ReferencedFileID) for record in records if "ReferencedFileID" in record]
    except (*PARSER_ERRORS, InvalidDicomError) as error:
        raise UnreadableFileError(
            f"{directory.name}: found a directory that cannot be read, expected a whole one.",
            "Give the folder that it lies in.",
        ) from error
    for name in sorted({name for name in names if "\0" not in name}):
        path = (root / name).resolve()
        if path.is_relative_to(root.resolve()) and path.is_file():
            yield name


def _file_id(value: object) -> str:
    parts = [value] if isinstance(value, str) else list(value)  # type: ignore[call-overload]
    return str(PurePath(*map(str, parts)))
