"""The port and its reader process, over real tables: the six ways past the former checks, and the process's life."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.clickhouse import ClickHouseClient
from connectors.clickhouse.embedded import sandbox
from connectors.clickhouse.embedded.endpoint import Endpoint
from tests.fixtures.clickhouse import active_parts, empty_files

pytestmark = pytest.mark.flow

COLUMNS = ("tenant", "kafka_topic", "kafka_offset")
SECRET = "hunter2-in-a-file"


@pytest.fixture(scope="module")
def clickhouse(clickhouse_path: Path) -> Iterator[ClickHouseClient]:
    clickhouse = ClickHouseClient.embedded(clickhouse_path, "endpoint")
    clickhouse.migrate()
    clickhouse.insert("events_log", COLUMNS, [["acme", "t", 1], ["other", "t", 2]])
    yield clickhouse
    clickhouse.close()


@pytest.fixture(scope="module")
def endpoint(clickhouse: ClickHouseClient, clickhouse_path: Path) -> Iterator[Endpoint]:
    os.environ["SLUICE_TEST_PROVIDER_KEY"] = SECRET
    endpoint = Endpoint(clickhouse_path, clickhouse.database, 0)
    del os.environ["SLUICE_TEST_PROVIDER_KEY"]
    yield endpoint
    endpoint.close()


def ask(
    endpoint: Endpoint, query: str, headers: dict[str, str] | None = None, chosen: dict[str, str] | None = None
) -> httpx.Response:
    url = f"http://127.0.0.1:{endpoint.port}/"
    return httpx.get(url, params={"query": query} | (chosen or {}), headers=headers, timeout=30)


def wait_for(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text(SECRET)
    return path


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        ("SELECT 1 AS `a'`, file('/proc/self/environ') AS `b'` FORMAT TSVRaw", {}),
        ("SELECT 1 AS \"a'\", file('{secret}') AS \"b'\" FORMAT TSVRaw", {}),
        ("SELECT 'owned' AS `a'` INTO OUTFILE '{new}' TRUNCATE FORMAT RawBLOB", {}),
        ("SELECT 1 FORMAT Template", {"format_template_resultset": "{secret}"}),
        ("SELECT 1 FORMAT Template", {"format_template_row": "{secret}"}),
        ("SELECT 1 AS a FORMAT Protobuf", {"output_format_schema": "{new}"}),
        (
            "SELECT 1 AS a FORMAT Protobuf",
            {
                "format_schema_source": "query",
                "format_schema_message_name": "M",
                "format_schema": "SELECT throwIf(1, concat('got: ', file('{secret}')))",
            },
        ),
        (
            "SELECT 1 AS a FORMAT AvroConfluent",
            {
                "format_avro_schema_registry_url": "http://127.0.0.1:9/",
                "output_format_avro_confluent_subject": "s",
            },
        ),
    ],
)
def test_known_way_past_the_former_checks_is_refused(
    endpoint: Endpoint, secret: Path, query: str, chosen: dict[str, str]
) -> None:
    new = secret.parent / "new.txt"

    def fill(text: str) -> str:
        return text.replace("{secret}", str(secret)).replace("{new}", str(new))

    response = ask(endpoint, fill(query), chosen={name: fill(value) for name, value in chosen.items()})

    assert 400 <= response.status_code < 500
    assert SECRET not in response.text
    assert not new.exists()


QUOTED = st.tuples(
    st.sampled_from('`"'),
    st.text(alphabet="'`\"\\\n-/*# ();aé$", max_size=6),
).map(lambda pair: pair[0] + pair[1].replace("\\", "\\\\").replace(pair[0], "\\" + pair[0]) + pair[0])


@given(
    names=st.lists(QUOTED, min_size=2, max_size=3),
    text=st.text(alphabet="'`\"\\-/*# ", max_size=5),
    shape=st.sampled_from(
        [
            "SELECT 1 AS {0}, {text} AS {1}, file('{secret}') AS z",
            "SELECT 1 AS {0}, file('{secret}') AS {1}",
            "SELECT {text} AS {0} FROM (SELECT file('{secret}') AS {1})",
            "WITH {text} AS {0} SELECT * APPLY file FROM (SELECT '{secret}' AS {1})",
            "SELECT {text} AS {0}, 1 AS {1} INTO OUTFILE '{new}'",
            "SELECT {text} AS {0}, 1 AS {1} FORMAT Template SETTINGS format_template_resultset = '{secret}'",
        ]
    ),
    setting=st.sampled_from([{}, {"format_template_row": "{secret}"}, {"session_timezone": "UTC"}]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_quoting_hides_a_file(  # noqa: PLR0917
    endpoint: Endpoint, secret: Path, names: list[str], text: str, shape: str, setting: dict[str, str]
) -> None:
    new = secret.parent / "new.txt"
    literal = "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    query = shape.replace("{0}", names[0]).replace("{1}", names[1]).replace("{text}", literal)
    query = query.replace("{secret}", str(secret)).replace("{new}", str(new))

    response = ask(
        endpoint, query, chosen={name: value.replace("{secret}", str(secret)) for name, value in setting.items()}
    )

    assert 400 <= response.status_code < 500, query
    assert SECRET not in response.text
    assert not new.exists()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "rebound.example:8123"},
    ],
)
def test_web_page_of_another_origin_gets_no_answer(endpoint: Endpoint, headers: dict[str, str]) -> None:
    response = ask(endpoint, "SELECT tenant FROM events", headers)

    assert response.status_code == 403
    assert "acme" not in response.text


def test_browser_may_not_run_a_response_as_a_script(endpoint: Endpoint) -> None:
    response = ask(endpoint, "SELECT 'leak(1)' FORMAT TSVRaw", {"Sec-Fetch-Site": "none"})

    assert response.status_code == 200
    assert response.headers["x-content-type-options"] == "nosniff"


def test_reader_process_has_no_variable_of_ours(endpoint: Endpoint) -> None:
    environment = psutil.Process(endpoint.pid).environ()

    assert set(environment) <= {"TZ", "LD_LIBRARY_PATH", "TMPDIR", "LC_CTYPE"}


def test_kernel_restricts_the_reader_process_as_far_as_it_can(endpoint: Endpoint) -> None:
    assert endpoint.restrictions == sandbox.available_restrictions()


def test_reader_process_is_started_again_after_it_was_killed(endpoint: Endpoint) -> None:
    before = endpoint.pid
    assert before is not None

    os.kill(before, signal.SIGKILL)
    wait_for(lambda: endpoint.pid not in {None, before} and endpoint.wait_until_serving(0))

    assert ask(endpoint, "SELECT count() FROM events").text == "2\n"


def test_reload_shows_that_a_part_is_gone(
    clickhouse_path: Path, endpoint: Endpoint, clickhouse: ClickHouseClient
) -> None:
    other = ClickHouseClient.embedded(clickhouse_path, "endpoint_reload")
    other.migrate()
    other.insert("events_log", COLUMNS, [["acme", "t", 1]])
    reader = Endpoint(clickhouse_path, "endpoint_reload", 0)
    try:
        assert ask(reader, "SELECT count() FROM events").text == "1\n"
        empty_files(active_parts(other, "events_log")[-1])
        other.command("DETACH TABLE events_log SYNC")
        other.command("ATTACH TABLE events_log")
        before = reader.pid

        reader.reload()
        wait_for(lambda: reader.pid not in {None, before} and reader.wait_until_serving(0))

        assert ask(reader, "SELECT count() FROM events").text == "0\n"
    finally:
        reader.close()
        other.close()


def test_closing_ends_the_process_and_removes_its_folder(clickhouse_path: Path, clickhouse: ClickHouseClient) -> None:
    reader = Endpoint(clickhouse_path, clickhouse.database, 0)
    pid, folder = reader.pid, reader._folder
    assert folder.is_dir()

    reader.close()
    reader.close()

    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert not folder.exists()


def test_folder_of_a_process_that_is_gone_is_removed(clickhouse_path: Path, clickhouse: ClickHouseClient) -> None:
    stale = clickhouse_path.parent / f"{clickhouse_path.name}-reader-{2**22 + 1}-1"
    (stale / "clickhouse").mkdir(parents=True)

    Endpoint(clickhouse_path, clickhouse.database, 0).close()

    assert not stale.exists()
