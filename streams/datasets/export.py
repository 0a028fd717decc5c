"""Export of answered chat requests from ClickHouse to a file that trainers read.

Memory use is one page of requests, plus some hundred bytes per example to detect duplicates. The filter masked the
texts before they were stored, so a dataset holds no personal data that the policy masks.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, Self

from streams.datasets import openai_sft
from streams.datasets.jsonl import JsonlFile
from streams.datasets.manifest import Filters, Manifest, filters, fingerprint, manifest_path
from streams.datasets.openai_sft import Example, UnusableExampleError
from streams.datasets.parquet import ParquetFile
from streams.datasets.selection import COUNT, PAGE, ExportError, ExportOptions, Parameters, where_clause
from streams.datasets.statistics import ExportStatistics

PAGE_ROWS = 500
"""Requests per query."""
PATH_SHOWN = 120
"""Characters of a path in an error message."""

_FIRST_ID = "00000000-0000-0000-0000-000000000000"
"""Sorts before every request id: a UUIDv5 or v7 is never nil."""

Progress = Callable[[int, int], None]
"""Callback with the requests read and the total, after each page."""


class QueryClient(Protocol):
    """The part of a ClickHouse client that an export uses."""

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        """Return the rows by column name; the server binds ``{name:Type}`` in the SQL."""
        ...


class DatasetFile(Protocol):
    """Writer of one file format."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: Any) -> None: ...  # noqa: ANN401, PYI036 - the protocol of with
    def write(self, example: Example) -> None:
        """Add an example, or raise UnusableExampleError."""
        ...


WRITERS: Mapping[str, Callable[[Path], DatasetFile]] = {".jsonl": JsonlFile, ".parquet": ParquetFile}


def export(query: QueryClient, options: ExportOptions, progress: Progress = lambda _done, _total: None) -> Manifest:
    """Write the dataset and its manifest: both completely, or neither.

    If no request is usable, nothing is written: the returned manifest has no examples, and its ``sentence`` says why.

    Raises:
        ExportError: the file can't be written.

    """
    _check_directory(options.out)
    until = options.until or dt.datetime.now(dt.UTC)
    where, parameters = where_clause(options, until)
    counted = query.rows(COUNT.format(conditions=where), parameters)
    tenants = {str(row["tenant"]): int(row["answered"]) for row in counted}
    total, statistics = sum(tenants.values()), ExportStatistics()
    sql = PAGE.format(conditions=where)
    partial = options.out.with_name(f".{options.out.name}.{os.getpid()}.part")
    try:
        with WRITERS[options.out.suffix](partial) as file:
            for tenant, row in _answered_requests(query, sql, parameters, tenants):
                _add(tenant, row, file, statistics)
                if statistics.read % PAGE_ROWS == 0:
                    progress(statistics.read, total)
                if statistics.examples == options.limit:
                    break
        progress(statistics.read, total)
        first = _first_page(parameters, next(iter(tenants), ""))
        manifest = _manifest(options, filters(options, until), (sql, first), statistics, partial)
        _publish(partial, options.out, manifest)
    except OSError as error:
        raise ExportError(f"{_shorten(options.out)}: can't be written ({error.strerror or error})") from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return manifest


def _check_directory(out: Path) -> None:
    """Check before the queries what would fail after them."""
    if not os.access(out.parent, os.W_OK):
        raise ExportError(f"{_shorten(out.parent)}: the directory does not exist or is not writable")


def _shorten(path: Path) -> str:
    text = str(path)
    return text if len(text) <= PATH_SHOWN else f"{text[:PATH_SHOWN]}…"


def _answered_requests(
    query: QueryClient, sql: str, parameters: Parameters, tenants: Iterable[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each tenant's requests in the order of their time, page by page."""
    for tenant in tenants:
        page = _first_page(parameters, tenant)
        full = True
        while full:
            rows = list(query.rows(sql, page))
            yield from ((tenant, row) for row in rows)
            full = len(rows) == PAGE_ROWS
            if full:
                page |= {"after_ms": int(rows[-1]["received_ms"]), "after_id": str(rows[-1]["id"])}


def _first_page(parameters: Parameters, tenant: str) -> Parameters:
    """Return the parameters of a tenant's first page."""
    since_ms = parameters.get("since_ms", 0)
    return {**parameters, "in_tenant": tenant, "after_ms": since_ms, "after_id": _FIRST_ID, "page_rows": PAGE_ROWS}


def _add(tenant: str, row: Mapping[str, Any], file: DatasetFile, statistics: ExportStatistics) -> None:
    """Write the request as an example, or count why it is skipped."""
    statistics.read += 1
    try:
        example = openai_sft.to_example(str(row["input"]), str(row["output"]))
        new = statistics.is_new(example)
        if new:
            file.write(example)
    except UnusableExampleError as unfit:
        statistics.skipped[unfit.reason] += 1
        return
    if new:
        statistics.keep(tenant, row)
    else:
        statistics.skipped["duplicate"] += 1


def _manifest(
    options: ExportOptions, applied: Filters, query: tuple[str, Parameters], statistics: ExportStatistics, data: Path
) -> Manifest:
    written = statistics.examples > 0
    first, last = statistics.received_ms or (None, None)
    return Manifest(
        format=options.format,
        file=options.out.name if written else "",
        sha256=fingerprint(data) if written else "",
        size=data.stat().st_size if written else 0,
        examples=statistics.examples,
        requests_read=statistics.read,
        skipped=dict(statistics.skipped.most_common()),
        filters=applied,
        sql=query[0],
        parameters=query[1],
        tenants=tuple(sorted(statistics.tenants)),
        config_hashes=tuple(sorted(statistics.config_hashes)),
        first_received_at=_iso(first),
        last_received_at=_iso(last),
        created_at=dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
        sluice_version=version("sluicegate"),
    )


def _iso(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC).isoformat(timespec="milliseconds")


def _publish(partial: Path, out: Path, manifest: Manifest) -> None:
    """Put both files in place.

    The old manifest is removed first and the new one is written last, so no manifest describes another file.
    """
    if not manifest.examples:
        return
    target = manifest_path(out)
    target.unlink(missing_ok=True)
    partial.replace(out)
    partial_manifest = target.with_name(f".{target.name}.{os.getpid()}.part")
    partial_manifest.write_bytes(manifest.json())
    partial_manifest.replace(target)
