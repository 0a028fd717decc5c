from __future__ import annotations

from pathlib import Path

from streams.datasets.jsonl import JsonlFile


def test_example_is_one_line_of_utf_8(tmp_path: Path) -> None:
    with JsonlFile(tmp_path / "x.jsonl") as file:
        file.write({"messages": [{"role": "user", "content": "zwei\nZeilen 🌊\u2028"}]})
        file.write({"messages": []})

    lines = (tmp_path / "x.jsonl").read_bytes().split(b"\n")
    assert len(lines) == 3
    assert lines[-1] == b""
    assert "🌊".encode() in lines[0]
