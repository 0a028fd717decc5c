"""The wire contract: schemas follow the classes, every version reads every other, every event has its example."""

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
NAMES = {event.__name__: event for event in EVENTS}
FILES = sorted(EXAMPLES.rglob("*.json"))


def schema(event: type[Event], version: int) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((AVRO / codec.schema_file(event, version)).read_text("utf-8"))
    return loaded


class Named:
    """A schema with its records by name, since one is written out only where it comes first."""

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
        """The type without its name and its logical type, which are nothing on the wire."""
        if isinstance(tree, dict) and set(tree) <= {"type", "logicalType"}:
            tree = tree["type"]
        return self.records.get(tree, tree) if isinstance(tree, str) else tree


def faults(one: Named, other: Named, left: Any, right: Any, path: str = "") -> list[str]:
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


def _field_faults(one: Named, other: Named, left: Any, right: Any, path: str) -> list[str]:
    before = {field["name"]: field for field in left["fields"]}
    after = {field["name"]: field for field in right["fields"]}
    found = []
    for name in sorted(before.keys() | after.keys()):
        if name in before and name in after:
            found += faults(one, other, before[name]["type"], after[name]["type"], f"{path}.{name}")
        elif "default" not in (before.get(name) or after[name]):
            found.append(f"{path}.{name}: is in one alone and has no default")
    return found


def incompatible(left: Any, right: Any) -> list[str]:
    return faults(Named(left), Named(right), left, right)


@pytest.mark.parametrize("event", EVENTS)
def test_the_committed_schema_is_the_one_of_the_class(event: type[Event]) -> None:
    committed = (AVRO / codec.schema_file(event, event.version)).read_text("utf-8")

    assert committed == text(event), "run `make schemas`; a change of a released event needs a new version"


def test_the_check_command_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    assert "in step" in capsys.readouterr().out


def test_every_schema_file_is_a_version_of_an_event_and_none_is_missing() -> None:
    wanted = {codec.schema_file(event, version) for event in EVENTS for version in range(1, event.version + 1)}

    assert {path.name for path in AVRO.glob("*.avsc")} == wanted


@pytest.mark.parametrize("event", EVENTS)
def test_every_version_reads_every_other(event: type[Event]) -> None:
    versions = [schema(event, version) for version in range(1, event.version + 1)]

    for left, right in itertools.combinations_with_replacement(versions, 2):
        assert incompatible(left, right) == []


def changed(event: type[Event], change: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a schema and the same after an incompatible change."""
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
def test_a_field_with_a_default_may_come_and_go(change: str) -> None:
    assert incompatible(*changed(NAMES["RequestAdmitted"], change)) == []


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
def test_a_breaking_change_is_found(change: str, path: str) -> None:
    (fault,) = incompatible(*changed(NAMES["RequestAdmitted"], change))

    assert fault.startswith(path + ":")


def test_schema_ids_are_unique_and_leave_room_for_versions() -> None:
    assert len({event.number for event in EVENTS}) == len(EVENTS)
    assert all(event.version < 100 for event in EVENTS)


def event_of(path: Path) -> type[Event]:
    return NAMES[path.name.partition(".")[0]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_example_is_an_event_of_its_topic_and_comes_back_from_the_wire(path: Path) -> None:
    content = json.loads(path.read_text("utf-8"))

    event = TypeAdapter(event_of(path)).validate_python(content)

    assert codec.decode(codec.encode(event)) == event
    assert orjson.loads(orjson.dumps(event, default=bytes.decode)) == content, "an example says every field"


def test_every_event_of_every_topic_has_an_example_and_no_example_is_an_orphan() -> None:
    topics = Topics(prefix="")
    wanted = {(topic.name, event) for topic in topics.all for event in topic.events if not topics.is_batch(topic.name)}

    assert {(path.parent.name, event_of(path)) for path in FILES} == wanted


def test_every_event_is_on_one_topic_of_a_lane() -> None:
    topics = Topics()
    placed = [event for topic in topics.all for event in topic.events if not topics.is_batch(topic.name)]

    assert sorted(placed, key=EVENTS.index) == list(EVENTS)
