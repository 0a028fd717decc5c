"""What a dataset is made of: written beside it, so that a model can be traced to the requests it learned from."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from streams.datasets.openai_sft import REASONS
from streams.datasets.selection import ExportOptions

Filters = dict[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The record of one export."""

    format: str
    file: str
    """Empty: nothing fitted, and no file was written."""
    sha256: str
    size: int
    """Of the file, in bytes."""
    examples: int
    requests_read: int
    skipped: dict[str, int]
    """By reason, the most frequent first."""
    filters: Filters
    sql: str
    """The query of one page."""
    parameters: dict[str, str | int]
    """All of its parameters, as they were for the first page of the first tenant."""
    tenants: tuple[str, ...]
    config_hashes: tuple[str, ...]
    first_received_at: str | None
    """Of the requests that became examples."""
    last_received_at: str | None
    created_at: str
    sluice_version: str

    @property
    def sentence(self) -> str:
        """What happened, for a person."""
        if not self.requests_read:
            return "No answered chat request matches; nothing was written."
        left_out = "".join(f" {count} left out: {REASONS[reason]}." for reason, count in self.skipped.items())
        of = f"of {self.requests_read} answered requests"
        if not self.examples:
            return f"0 examples {of}; nothing was written.{left_out}"
        return f"{self.examples} example{'s' if self.examples > 1 else ''} {of} in {self.file}.{left_out}"

    def json(self) -> bytes:
        """As it stands in the file."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def manifest_path(out: Path) -> Path:
    """Where a dataset's manifest stands: beside it."""
    return out.with_name(out.name + ".manifest.json")


def filters(options: ExportOptions, until: dt.datetime) -> Filters:
    """What was asked for, with the end that an open one got."""
    return {
        "tenant": options.tenant,
        "model": options.model,
        "since": options.since.isoformat() if options.since else None,
        "until": until.isoformat(),
        "label": options.label,
        "limit": options.limit,
    }


def fingerprint(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
