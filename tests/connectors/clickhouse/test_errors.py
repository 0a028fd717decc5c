from __future__ import annotations

import pytest

from connectors.clickhouse.errors import without_repeats

CODE, NAME = "Code: 73. DB::Exception: ", "(UNKNOWN_FORMAT)"


@pytest.mark.parametrize(
    "message",
    [
        f"{CODE}Unknown format Nope. {NAME}",
        f"{CODE * 3}Unknown format Nope. {NAME} (version 26.9.2.1). {NAME} (version 26.9.2.1). {NAME}",
        f"{CODE}Unknown format Nope. {NAME} (version 24.8.1 (official build)). {NAME}",
    ],
)
def test_repeated_code_and_name_of_an_error_are_removed(message: str) -> None:
    assert without_repeats(message) == f"{CODE}Unknown format Nope. {NAME}"


def test_different_error_codes_are_kept() -> None:
    message = "Code: 60. DB::Exception: Code: 81. DB::Exception: no (UNKNOWN_DATABASE)"

    assert without_repeats(message) == message
