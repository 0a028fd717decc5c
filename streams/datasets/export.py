"""Datasets out of ClickHouse: answered chat requests, checked, as files that trainers read.

Memory is one page of requests, and some hundred bytes for each example to know it again. What is stored is already
masked by the filter, so a dataset holds no more personal data than the policy let through.
"""

from __future__ import annotations

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
from streams.datasets.selection import COUNT, FORMATS, PAGE, ExportError, ExportOptions, Parameters, where_clause
from streams.datasets.statistics import ExportStatistics

PAGE_ROWS = 500
"""Requests fetched at once."""

_FIRST_ID = "00000000-0000-0000-0000-000000000000"
"""Before every request id: a UUIDv5 or v7 is never nil."""

Progress = Callable[[int, int], None]
"""Told (requests read, requests in all) after each page."""


class QueryClient(Protocol):
    """All that an export needs of ClickHouse."""

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        """The result of a query, by column name; ``{name:Type}`` in it is bound by the server."""
        ...


class DatasetFile(Protocol):
    """One encoding of examples."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: Any) -> None: ...  # noqa: ANN401, PYI036 - the protocol of with
    def write(self, example: Example) -> None:
        """Add an example, or raise UnfitError."""
        ...


ENDINGS: dict[str, Callable[[Path], DatasetFile]] = {".jsonl": JsonlFile, ".parquet": ParquetFile}


def export(query: QueryClient, options: ExportOptions, progress: Progress = lambda _done, _total: None) -> Manifest:
    """Write the dataset and its manifest; either both are there, whole, or neither is new.

    If nothing fits, nothing is written: the manifest that is returned has no examples, and its ``sentence`` says why.

    Raises:
        ExportError: the format or the file's ending is unknown, or the file's folder can't be written to.

    """
    encode = _encoding(options)
    until = options.until or dt.datetime.now(dt.UTC)
    where, parameters = where_clause(options, until)
    counted = query.rows(COUNT.format(conditions=where), parameters)
    tenants = {str(row["tenant"]): int(row["answered"]) for row in counted}
    total, tally = sum(tenants.values()), ExportStatistics()
    sql = PAGE.format(conditions=where)
    partial = options.out.with_name(f".{options.out.name}.{os.getpid()}.part")
    try:
        with encode(partial) as file:
            for tenant, row in _answered(query, sql, parameters, tenants):
                _take(tenant, row, file, tally)
                if tally.read % PAGE_ROWS == 0:
                    progress(tally.read, total)
                if tally.examples == options.limit:
                    break
        progress(tally.read, total)
        first = _first_page(parameters, next(iter(tenants), ""))
        manifest = _manifest(options, filters(options, until), (sql, first), tally, partial)
        _publish(partial, options.out, manifest)
    finally:
        partial.unlink(missing_ok=True)
    return manifest


def _encoding(options: ExportOptions) -> Callable[[Path], DatasetFile]:
    if options.format not in FORMATS:
        raise ExportError(f"format {options.format!r} is unknown; there is: {', '.join(FORMATS)}")
    if options.out.suffix not in ENDINGS:
        raise ExportError(f"{options.out.name}: a dataset's name ends in {' or '.join(ENDINGS)}")
    if not os.access(options.out.parent, os.W_OK):
        raise ExportError(f"{options.out.parent}: is no folder that can be written to")
    return ENDINGS[options.out.suffix]


def _answered(
    query: QueryClient, sql: str, parameters: Parameters, tenants: Iterable[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each tenant's requests in the order of their time, a page at a time."""
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
    """All that the query of a page asks for, at a tenant's first."""
    since_ms = parameters.get("since_ms", 0)
    return {**parameters, "in_tenant": tenant, "after_ms": since_ms, "after_id": _FIRST_ID, "page_rows": PAGE_ROWS}


def _take(tenant: str, row: Mapping[str, Any], file: DatasetFile, tally: ExportStatistics) -> None:
    """Write the request as an example, or count why not."""
    tally.read += 1
    try:
        example = openai_sft.to_example(str(row["input"]), str(row["output"]))
        new = tally.is_new(example)
        if new:
            file.write(example)
    except UnusableExampleError as unfit:
        tally.skipped[unfit.reason] += 1
        return
    if new:
        tally.keep(tenant, row)
    else:
        tally.skipped["duplicate"] += 1


def _manifest(
    options: ExportOptions, asked: Filters, query: tuple[str, Parameters], tally: ExportStatistics, data: Path
) -> Manifest:
    written = tally.examples > 0
    first, last = tally.received_ms or (None, None)
    return Manifest(
        format=options.format,
        file=options.out.name if written else "",
        sha256=fingerprint(data) if written else "",
        size=data.stat().st_size if written else 0,
        examples=tally.examples,
        requests_read=tally.read,
        skipped=dict(tally.skipped.most_common()),
        filters=asked,
        sql=query[0],
        parameters=query[1],
        tenants=tuple(sorted(tally.tenants)),
        config_hashes=tuple(sorted(tally.config_hashes)),
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
    """Put both files in place, the manifest first to go and last to come: it never describes another file."""
    if not manifest.examples:
        return
    beside = manifest_path(out)
    beside.unlink(missing_ok=True)
    partial.replace(out)
    text = beside.with_name(f".{beside.name}.{os.getpid()}.part")
    text.write_bytes(manifest.json())
    text.replace(beside)
