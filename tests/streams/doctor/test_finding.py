from __future__ import annotations

from streams.doctor.finding import Finding


def test_messages_of_findings_are_aligned() -> None:
    lines = [str(Finding("ingress", "ok", "is ready")), str(Finding("dead letters", "BAD", "3"))]

    assert [line.index(message) for line, message in zip(lines, ("is ready", "3"), strict=True)] == [25, 25]
    assert lines[1].startswith("BAD ")


def test_lines_of_one_finding_are_aligned() -> None:
    first, second = str(Finding("topics", "BAD", "one\ntwo")).splitlines()

    assert first.index("one") == second.index("two")


def test_warning_is_ok_in_json() -> None:
    assert Finding("dead letters", "warn", "1").as_dict() == {
        "check": "dead letters",
        "status": "warn",
        "message": "1",
        "ok": True,
    }
