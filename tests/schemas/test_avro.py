"""Avro schemas of the events: generated from the classes, compatible between versions, with an example each."""

from __future__ import annotations

import copy
import itertools
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import TypeAdapter

from schemas.avro import codec
from schemas.avro.__main__ import main, text
from schemas.events.catalog import EVENTS, Event
from schemas.kafka.topics import Topics

AVRO = Path(codec.__file__).parent
EXAMPLES = Path(codec.__file__).parents[1] / "examples"
EVENT_BY_NAME = {event.__name__: event for event in EVENTS}
FILES = sorted(EXAMPLES.rglob("*.json"))


def schema(event: type[Event], version: int) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((AVRO / codec.schema_file(event, version)).read_text("utf-8"))
    return loaded


class ParsedSchema:
    """A schema and its records by name, because Avro defines a record once and refers to it by name afterwards."""

    def __init__(self, tree: Any) -> None:
        self.records: dict[str, Any] = {}
        self.tree = tree
        self._collect(tree)

    def _collect(self, tree: Any) -> None:
        if isinstance(tree, list):
            for item in tree:
                self._collect(item)
        elif isinstance(tree, dict):
            if tree.get("type") == "record":
                self.records[f"{tree['namespace']}.{tree['name']}"] = tree
            for item in tree.values():
                self._collect(item)

    def plain(self, tree: Any) -> Any:
        """Resolve a record by its name and drop a logical type: neither changes the encoding."""
        if isinstance(tree, dict) and set(tree) <= {"type", "logicalType"}:
            tree = tree["type"]
        return self.records.get(tree, tree) if isinstance(tree, str) else tree


def faults(one: ParsedSchema, other: ParsedSchema, left: Any, right: Any, path: str = "") -> list[str]:
    """Return the reasons why one of two types can't read the other.

    FULL compatibility is symmetric, so the rule is simple: the same shape, except for fields that have a default.
    """
    left, right = one.plain(left), other.plain(right)
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        return [fault for pair in zip(left, right, strict=True) for fault in faults(one, other, *pair, path)]
    if not isinstance(left, dict) or not isinstance(right, dict) or left["type"] != right["type"]:
        return [] if left == right else [f"{path}: {left!r} became {right!r}"]
    inner = {"array": "items", "map": "values"}.get(left["type"])
    if inner:
        return faults(one, other, left[inner], right[inner], path)
    return _field_faults(one, other, left, right, path)


def _field_faults(one: ParsedSchema, other: ParsedSchema, left: Any, right: Any, path: str) -> list[str]:
    before = {field["name"]: field for field in left["fields"]}
    after = {field["name"]: field for field in right["fields"]}
    result = []
    for name in sorted(before.keys() | after.keys()):
        if name in before and name in after:
            result += faults(one, other, before[name]["type"], after[name]["type"], f"{path}.{name}")
        elif "default" not in (before.get(name) or after[name]):
            result.append(f"{path}.{name}: is in one schema only and has no default")
    return result


def incompatibilities(left: Any, right: Any) -> list[str]:
    return faults(ParsedSchema(left), ParsedSchema(right), left, right)


@pytest.mark.parametrize("event", EVENTS)
def test_committed_schema_equals_the_schema_of_the_class(event: type[Event]) -> None:
    committed = (AVRO / codec.schema_file(event, event.version)).read_text("utf-8")

    assert committed == text(event), "run `make schemas`; a change of a released event needs a new version"


def test_check_command_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    assert "in step" in capsys.readouterr().out


def test_schema_files_are_exactly_the_versions_of_the_events() -> None:
    expected = {codec.schema_file(event, version) for event in EVENTS for version in range(1, event.version + 1)}

    assert {path.name for path in AVRO.glob("*.avsc")} == expected


@pytest.mark.parametrize("event", EVENTS)
def test_all_versions_of_an_event_are_compatible(event: type[Event]) -> None:
    versions = [schema(event, version) for version in range(1, event.version + 1)]

    for left, right in itertools.combinations_with_replacement(versions, 2):
        assert incompatibilities(left, right) == []


def with_change(event: type[Event], change: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return version 1 of a schema, and the same schema after a change."""
    old = schema(event, 1)
    new = copy.deepcopy(old)
    fields = {field["name"]: field for field in new["fields"]}
    request = fields["request"]["type"]
    match change:
        case "add without default":
            new["fields"].append({"name": "more", "type": "string"})
        case "add with default":
            new["fields"].append({"name": "more", "type": "string", "default": ""})
        case "remove without default":
            new["fields"].remove(fields["body"])
        case "remove with default":
            new["fields"].remove(fields["labels"])
        case "retype":
            fields["admitted_at"]["type"] = "string"
        case "retype in an array":
            fields["actions"]["type"]["items"]["fields"][2]["type"] = "string"
        case "add without default inside":
            request["fields"].append({"name": "more", "type": "long"})
        case "make optional":
            fields["model"]["type"] = ["null", "string"]
    return old, new


@pytest.mark.parametrize("change", ["add with default", "remove with default"])
def test_field_with_a_default_may_be_added_or_removed(change: str) -> None:
    assert incompatibilities(*with_change(EVENT_BY_NAME["RequestAdmitted"], change)) == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ("add without default", ".more"),
        ("remove without default", ".body"),
        ("retype", ".admitted_at"),
        ("retype in an array", ".actions.count"),
        ("add without default inside", ".request.more"),
        ("make optional", ".model"),
    ],
)
def test_incompatible_change_is_one_fault_with_its_path(change: str, path: str) -> None:
    (fault,) = incompatibilities(*with_change(EVENT_BY_NAME["RequestAdmitted"], change))

    assert fault.startswith(path + ":")


def test_schema_ids_are_unique_for_up_to_99_versions() -> None:
    assert len({event.number for event in EVENTS}) == len(EVENTS)
    assert all(event.version < 100 for event in EVENTS)


def event_of(path: Path) -> type[Event]:
    return EVENT_BY_NAME[path.name.partition(".")[0]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_example_is_a_complete_event_that_decodes_unchanged(path: Path) -> None:
    content = json.loads(path.read_text("utf-8"))

    event = TypeAdapter(event_of(path)).validate_python(content)

    assert codec.decode(codec.encode(event)) == event
    assert orjson.loads(orjson.dumps(event, default=bytes.decode)) == content, "an example must contain every field"


def test_examples_are_exactly_the_events_of_the_topics() -> None:
    topics = Topics(prefix="")
    expected = {
        (topic.name, event) for topic in topics.all for event in topic.events if not topics.is_batch(topic.name)
    }

    assert {(path.parent.name, event_of(path)) for path in FILES} == expected


def test_each_event_belongs_to_one_topic_of_a_lane() -> None:
    topics = Topics()
    events = [event for topic in topics.all for event in topic.events if not topics.is_batch(topic.name)]

    assert sorted(events, key=EVENTS.index) == list(EVENTS)
