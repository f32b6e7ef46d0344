"""What a batch would plan: the series of each study with the reasons, and nothing written but the index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from pipelines.batch.case import link_files
from pipelines.batch.model import Study
from pipelines.batch.run import BatchOptions, Watcher, finished_as, open_batch
from planner.dicom.series import SeriesReport
from planner.errors import InputRefusedError

__all__ = ["Choice", "choose_all"]


class Choice(NamedTuple):
    """One study, what is chosen in it, and what would be done; holds no identifier."""

    key: str
    todo: str
    series: str
    slices: int
    reasons: str


def choose_all(export: Path, out: Path, options: BatchOptions, watcher: Watcher) -> Iterator[Choice]:
    """Index an export and choose in every study.

    Raises
    ------
    planner.errors.SacroplanError
        As `pipelines.batch.run_batch`.
    """
    with open_batch(export, out, options.settings) as batch:
        counts = batch.index.update(export, out, watcher.on_file)
        watcher.on_indexed(counts, batch.index.study_count())
        for study in batch.index.studies():
            key = batch.key(study)
            if not study.images:
                yield Choice(key, "no CT", "", 0, ", ".join(f"{n} {kind}" for kind, n in study.others.items()))
                continue
            status = finished_as(batch.cases / key, study, retry_failed=options.retry_failed)
            yield _choose(key, "plan" if status is None else f"{status.value} already", study, batch.root, options)


def _choose(key: str, todo: str, study: Study, root: Path, options: BatchOptions) -> Choice:
    from planner.reading import list_series

    try:
        with TemporaryDirectory() as scratch:
            reports = list_series(link_files(study, root, Path(scratch)), resample=options.settings.resample)
    except InputRefusedError as error:
        return Choice(key, todo, "", 0, str(error))
    best: SeriesReport | None = next((report for report in reports if report.chosen), None)
    if best is None:
        return Choice(key, todo, "", 0, "; ".join(reports[0].reasons))
    others = f"; {len(reports) - 1} other series" if len(reports) > 1 else ""
    copies = f"; {study.copies} copies left out" if study.copies else ""
    return Choice(key, todo, best.key, best.slices, "; ".join(best.reasons) + others + copies)
