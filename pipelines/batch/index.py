"""The index: one row a file in an embedded SQLite database, so that headers are read once, however often a run starts.

It holds paths and identifiers, and stays beside the results of the site that owns them.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path, PurePath
from typing import NamedTuple

from pipelines.batch.disk import is_full
from pipelines.batch.files import export_files, export_root
from pipelines.batch.headers import CT, DAMAGED, IMAGE, UNREADABLE, Header, read_header
from pipelines.batch.model import Study
from planner.errors import ConfigError

__all__ = ["Index", "IndexCounts", "open_index"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
  path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, seen INTEGER,
  kind TEXT, study TEXT, series TEXT, instance TEXT, modality TEXT, head TEXT, pixels TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_study ON files (study);
"""
CHUNK = 512
"""Files a transaction [P]: a kill costs at most so many headers."""
THREADS = 4
"""Files read at once [P]: hides the latency of a network drive; parsing holds Python's lock."""


class IndexCounts(NamedTuple):
    """Files of an export: all of them, read now, and by kind."""

    files: int
    read: int
    kinds: dict[str, int]


class _Row(NamedTuple):
    path: str
    header: Header


@contextmanager
def open_index(path: Path) -> Iterator[Index]:
    """Open the index, and keep everyone else out while it is open.

    Raises
    ------
    ConfigError
        If another run has it open, or it is no index.
    OSError
        If the disk is full.
    """
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        for statement in SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute("COMMIT")
        yield Index(connection)
    except sqlite3.OperationalError as error:
        if is_full(error, path.parent) or error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise OSError(errno.ENOSPC, "The disk is full.") from error
        if "locked" not in str(error):
            raise
        raise ConfigError(
            f"{path.parent}: another batch is writing there.", "Wait for it, or name another folder with --out."
        ) from error
    except sqlite3.DatabaseError as error:
        raise ConfigError(f"{path.name}: found a damaged index.", "Remove it: it is made anew.") from error
    finally:
        connection.close()


class Index:
    """Rows of the files of one export."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def update(self, export: Path, out: Path, on_file: Callable[[], None] = lambda: None) -> IndexCounts:
        """Read the headers of files that are new or changed since, and forget those that are gone.

        Parameters
        ----------
        export : Path
            Folder or DICOMDIR.
        out : Path
            Our own results, not part of it.
        on_file : callable
            Called once a file.
        """
        root = export_root(export)
        run = self._db.execute("SELECT COALESCE(MAX(seen), 0) + 1 FROM files").fetchone()[0]
        names, files, read = export_files(export, out), 0, 0
        with ThreadPoolExecutor(THREADS) as pool:
            while chunk := list(islice(names, CHUNK)):
                read += self._take(root, chunk, run, pool)
                files += len(chunk)
                for _ in chunk:
                    on_file()
        self._db.execute("DELETE FROM files WHERE seen <> ?", (run,))
        kinds = dict(self._db.execute("SELECT kind, COUNT(*) FROM files GROUP BY kind ORDER BY kind"))
        return IndexCounts(files, read, kinds)

    def _take(self, root: Path, names: list[str], run: int, pool: ThreadPoolExecutor) -> int:
        fresh = [(name, state) for name in names if (state := _state(root / name)) and not self._known(name, state)]
        headers = pool.map(read_header, [root / name for name, _ in fresh])
        rows = [(os.fsencode(n), *state, run, *_columns(h)) for (n, state), h in zip(fresh, headers, strict=True)]
        self._db.execute("BEGIN")
        self._db.executemany("UPDATE files SET seen = ? WHERE path = ?", [(run, os.fsencode(n)) for n in names])
        self._db.executemany("INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?,?,?,?,?)", rows)
        self._db.execute("COMMIT")
        return len(rows)

    def _known(self, name: str, state: tuple[int, int]) -> bool:
        query = "SELECT size, mtime_ns, kind FROM files WHERE path = ?"
        row = self._db.execute(query, (os.fsencode(name),)).fetchone()
        return row is not None and row[:2] == state and row[2] != UNREADABLE

    def study_count(self) -> int:
        """Studies, of any modality."""
        query = "SELECT COUNT(DISTINCT study) FROM files WHERE kind IN (?, ?) AND study <> ''"
        return int(self._db.execute(query, (CT, IMAGE)).fetchone()[0]) + len(self._nameless())

    def studies(self) -> Iterator[Study]:
        """Every study, one at a time, in the order of their UIDs; images without one make up a study a folder."""
        stray = self._stray()
        uids = self._db.execute("SELECT DISTINCT study FROM files WHERE kind IN (?, ?) AND study <> ''", (CT, IMAGE))
        for uid in sorted(row[0] for row in uids.fetchall()):
            yield _study(uid, self._rows("study = ?", uid), stray)
        for folder, rows in sorted(self._nameless().items()):
            yield _study(f"no study UID in {folder}", rows, stray)

    def _rows(self, where: str, value: str) -> list[_Row]:
        query = f"SELECT path, kind, study, series, instance, modality, head, pixels FROM files WHERE {where}"
        rows = self._db.execute(f"{query} ORDER BY path", (value,))
        return [_Row(os.fsdecode(path), Header(*rest)) for path, *rest in rows]

    def _nameless(self) -> dict[str, list[_Row]]:
        groups: dict[str, list[_Row]] = {}
        for row in self._rows("study = '' AND kind IN ('ct', 'image') AND '' = ?", ""):
            groups.setdefault(str(PurePath(row.path).parent), []).append(row)
        return groups

    def _stray(self) -> dict[str, list[_Row]]:
        """Damaged files that name no study, by folder, where the folder holds CT of one study alone."""
        folders: dict[str, set[str]] = {}
        for path, study in self._db.execute("SELECT path, study FROM files WHERE kind = ?", (CT,)):
            folders.setdefault(str(PurePath(os.fsdecode(path)).parent), set()).add(study)
        stray: dict[str, list[_Row]] = {}
        for row in self._rows("kind = 'damaged' AND study = ?", ""):
            folder = str(PurePath(row.path).parent)
            if len(folders.get(folder, ())) == 1:
                stray.setdefault(folder, []).append(row)
        return stray


def _state(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:  # gone since it was listed
        return None
    return found.st_size, found.st_mtime_ns


def _columns(header: Header) -> tuple[str, ...]:
    texts = (header.study, header.series, header.instance, header.modality)
    return (header.kind, *(text.encode("utf-8", "replace").decode() for text in texts), header.head, header.pixels)


def _study(uid: str, rows: Iterable[_Row], stray: dict[str, list[_Row]]) -> Study:
    rows = list(rows)
    images = [row for row in rows if row.header.kind == CT]
    unique = {(r.header.instance or r.path, r.header.pixels): r for r in reversed(images)}  # the first by path stays
    kept = sorted(unique.values(), key=lambda row: row.path)
    folders = sorted({str(PurePath(row.path).parent) for row in kept})
    damaged = [row for row in rows if row.header.kind == DAMAGED]
    damaged += [row for folder in folders for row in stray.get(folder, [])]
    return Study(
        uid=uid,
        images=tuple(row.path for row in kept),
        damaged=tuple(sorted(row.path for row in damaged)),
        copies=len(images) - len(kept),
        others=dict(sorted(Counter(row.header.modality or "?" for row in rows if row.header.kind == IMAGE).items())),
        content=_content(kept, len(damaged)),
    )


def _content(images: Iterable[_Row], damaged: int) -> str:
    state = hashlib.sha256(f"{damaged} damaged".encode())
    for part in sorted(f"{r.header.series} {r.header.instance} {r.header.head} {r.header.pixels}" for r in images):
        state.update(part.encode() + b"\0")
    return state.hexdigest()
