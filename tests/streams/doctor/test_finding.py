from __future__ import annotations

from streams.doctor.finding import Finding


def test_a_finding_is_a_line_whose_words_stand_below_one_another() -> None:
    lines = [str(Finding("ingress", "ok", "is ready")), str(Finding("dead letters", "BAD", "3"))]

    assert [line.index(says) for line, says in zip(lines, ("is ready", "3"), strict=True)] == [25, 25]
    assert lines[1].startswith("BAD ")


def test_several_sentences_stand_below_one_another_too() -> None:
    first, second = str(Finding("topics", "BAD", "one\ntwo")).splitlines()

    assert first.index("one") == second.index("two")


def test_for_a_program_a_warning_is_fine() -> None:
    assert Finding("dead letters", "warn", "1").as_dict() == {
        "check": "dead letters",
        "status": "warn",
        "message": "1",
        "ok": True,
    }
