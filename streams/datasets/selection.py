"""Which requests a dataset is made of, as a query. All that a person types goes as a parameter, never into the SQL."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import UserError

Parameters = dict[str, str | int]

FORMATS = ("openai-sft",)
"""What `--format` takes."""

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
"""One tenant after the other, in the order of the table's key: a page costs what is in it, however many came before.
Its first line of time is what lets ClickHouse skip; a comparison of tuples alone would not."""

_JUDGED = """\
SELECT tenant, request_id FROM events
        WHERE event_type = 'FeedbackGiven' AND labels['label'] = {feedback_label:String}"""

_RELATIVE = re.compile(r"(\d{1,4})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class ExportError(UserError, ValueError):
    """What was asked for can't be exported. The message is one sentence that says what can."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What `sluice export` was asked for. Filters that are None let everything through."""

    out: Path
    """Where it goes; ``.jsonl`` or ``.parquet`` decides the encoding."""
    format: str = "openai-sft"
    tenant: str | None = None
    model: str | None = None
    """The name that callers use, or provider/model."""
    since: dt.datetime | None = None
    """Received then or later. With a zone."""
    until: dt.datetime | None = None
    """Received before then; None: before the export starts."""
    label: str | None = None
    """``key=value``: a label that the caller gave; a bare word: a label that feedback gave."""
    limit: int | None = None
    """At most so many examples."""


def point_in_time(text: str, now: dt.datetime | None = None) -> dt.datetime:
    """The time that a person typed: ISO 8601, or how long ago (``90m``, ``24h``, ``7d``, ``2w``). UTC unless it says.

    Raises:
        ExportError: it is neither.

    """
    if match := _RELATIVE.fullmatch(text.strip()):
        ago = dt.timedelta(**{_UNITS[match[2]]: int(match[1])})
        return (now or dt.datetime.now(dt.UTC)) - ago
    try:
        moment = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        raise ExportError(f"{text!r} is no time: write one like 2026-11-24, 2026-11-24T09:30Z or 7d") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def milliseconds(moment: dt.datetime) -> int:
    """Since the Unix epoch."""
    return int(moment.timestamp() * 1000)


def where_clause(options: ExportOptions, until: dt.datetime) -> tuple[str, Parameters]:
    """The WHERE clause that the options mean, and the values of its parameters."""
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
        clause, values = _labelled(options.label)
        clauses.append(clause)
        parameters |= values
    return "\n    AND ".join(clauses), parameters


def _labelled(label: str) -> tuple[str, Parameters]:
    key, equals, value = label.partition("=")
    if equals:
        return "labels[{label_key:String}] = {label_value:String}", {"label_key": key, "label_value": value}
    return f"(tenant, request_id) IN (\n        {_JUDGED}\n    )", {"feedback_label": label}
