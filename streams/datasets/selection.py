"""Selection of the requests of a dataset, as a query. User input is passed as query parameters, never as SQL."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import UserError

Parameters = dict[str, str | int]

FORMATS = ("openai-sft",)
"""Values of `--format`."""
EXTENSIONS = (".jsonl", ".parquet")
"""File extensions of `--out`; each selects an encoding."""

COUNT = """\
SELECT tenant, count() AS answered
FROM requests
WHERE {conditions}
GROUP BY tenant
ORDER BY tenant"""

PAGE = """\
SELECT
    toString(request_id) AS id,
    toUnixTimestamp64Milli(received_at) AS received_ms,
    config_hash,
    input,
    output
FROM requests
WHERE {conditions}
    AND tenant = {{in_tenant:String}}
    AND received_at >= fromUnixTimestamp64Milli({{after_ms:Int64}}, 'UTC')
    AND (received_at, request_id) > (fromUnixTimestamp64Milli({{after_ms:Int64}}, 'UTC'), {{after_id:UUID}})
ORDER BY received_at, request_id
LIMIT {{page_rows:UInt32}}"""
"""One tenant after the other, in the order of the table's sorting key, so that the cost of a page does not depend on
the number of pages before it. ClickHouse skips data by the condition on received_at alone; it does not for the
tuples."""

_LABELLED_BY_FEEDBACK = """\
SELECT tenant, request_id FROM events
        WHERE event_type = 'FeedbackGiven' AND labels['label'] = {feedback_label:String}"""

_RELATIVE = re.compile(r"(\d{1,4})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class ExportError(UserError, ValueError):
    """The export is not possible. The message is one sentence that says what to change."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Options of `sluice export`. A filter that is None selects everything.

    Raises:
        ExportError: the format, the file extension, the time range or the label is invalid.

    """

    out: Path
    """File to write; its extension, ``.jsonl`` or ``.parquet``, selects the encoding."""
    format: str = "openai-sft"
    tenant: str | None = None
    model: str | None = None
    """The model name that callers use, or provider/model."""
    since: dt.datetime | None = None
    """Received at this time or later; with a time zone."""
    until: dt.datetime | None = None
    """Received before this time; None: before the export starts."""
    label: str | None = None
    """``key=value``: a label set by the caller, with exactly this value, which may be empty. A single word: a label set
    by feedback."""
    limit: int | None = None
    """Maximum number of examples."""

    def __post_init__(self) -> None:
        """Check the options that do not depend on the data."""
        if self.format not in FORMATS:
            raise ExportError(f"unknown format {self.format!r}; known: {', '.join(FORMATS)}")
        if self.out.suffix not in EXTENSIONS:
            raise ExportError(f"--out must end in {' or '.join(EXTENSIONS)}, not {self.out.name[-40:]!r}")
        if self.since and self.until and self.since >= self.until:
            raise ExportError("--since must be before --until")
        if self.label is not None and not self.label.partition("=")[0]:
            raise ExportError("--label needs a name: write key=value, or the label of a feedback")


def point_in_time(text: str, now: dt.datetime | None = None) -> dt.datetime:
    """Parse a time: ISO 8601, UTC by default, or an age (``90m``, ``24h``, ``7d``, ``2w``).

    Raises:
        ExportError: it is neither.

    """
    if match := _RELATIVE.fullmatch(text.strip()):
        age = dt.timedelta(**{_UNITS[match[2]]: int(match[1])})
        return (now or dt.datetime.now(dt.UTC)) - age
    try:
        moment = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        raise ExportError(f"invalid time {text!r}: write 2026-11-24, 2026-11-24T09:30Z or 7d") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def milliseconds(moment: dt.datetime) -> int:
    """Return the milliseconds since the Unix epoch."""
    return int(moment.timestamp() * 1000)


def where_clause(options: ExportOptions, until: dt.datetime) -> tuple[str, Parameters]:
    """Return the WHERE clause of the options, and the values of its parameters."""
    clauses = [
        "outcome = 'answered'",
        "operation = 'chat'",
        "received_at < fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')",
    ]
    parameters: Parameters = {"until_ms": milliseconds(until)}
    if options.since is not None:
        clauses.append("received_at >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')")
        parameters["since_ms"] = milliseconds(options.since)
    if options.tenant is not None:
        clauses.append("tenant = {tenant:String}")
        parameters["tenant"] = options.tenant
    if options.model is not None:
        clauses.append("(request_model = {model:String} OR concat(provider, '/', provider_model) = {model:String})")
        parameters["model"] = options.model
    if options.label is not None:
        clause, values = _label_condition(options.label)
        clauses.append(clause)
        parameters |= values
    return "\n    AND ".join(clauses), parameters


def _label_condition(label: str) -> tuple[str, Parameters]:
    key, equals, value = label.partition("=")
    if (
        equals
    ):  # a map has an empty text for a missing key, so an empty value alone would match requests without the label
        condition = "mapContains(labels, {label_key:String}) AND labels[{label_key:String}] = {label_value:String}"
        return condition, {"label_key": key, "label_value": value}
    return f"(tenant, request_id) IN (\n        {_LABELLED_BY_FEEDBACK}\n    )", {"feedback_label": label}
