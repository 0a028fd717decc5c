"""Manifest of a dataset, written next to it, so that a model can be traced to the requests it was trained on."""

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
    """Description of one export."""

    format: str
    file: str
    """Empty: no request was usable, and no file was written."""
    sha256: str
    size: int
    """Size of the file in bytes."""
    examples: int
    requests_read: int
    skipped: dict[str, int]
    """Skipped requests by reason, the most frequent first."""
    filters: Filters
    sql: str
    """Query of one page."""
    parameters: dict[str, str | int]
    """Parameters of the first page of the first tenant."""
    tenants: tuple[str, ...]
    config_hashes: tuple[str, ...]
    first_received_at: str | None
    """First and last time of the requests that became examples."""
    last_received_at: str | None
    created_at: str
    sluice_version: str

    @property
    def sentence(self) -> str:
        """Summary of the export for people."""
        if not self.requests_read:
            return "No answered chat request matches; nothing was written."
        skipped = "".join(f" {count} skipped: {REASONS[reason]}." for reason, count in self.skipped.items())
        of = f"of {self.requests_read} answered requests"
        if not self.examples:
            return f"0 examples {of}; nothing was written.{skipped}"
        return f"{self.examples} example{'s' if self.examples > 1 else ''} {of} in {self.file}.{skipped}"

    def json(self) -> bytes:
        """Return the content of the manifest file."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def manifest_path(out: Path) -> Path:
    """Return the path of a dataset's manifest, next to the dataset."""
    return out.with_name(out.name + ".manifest.json")


def filters(options: ExportOptions, until: dt.datetime) -> Filters:
    """Return the filters of the options, with the effective end of the time range."""
    return {
        "tenant": options.tenant,
        "model": options.model,
        "since": options.since.isoformat() if options.since else None,
        "until": until.isoformat(),
        "label": options.label,
        "limit": options.limit,
    }


def fingerprint(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
