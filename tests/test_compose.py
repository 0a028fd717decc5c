"""Tests of docker-compose.yml and the Dockerfile without a container engine: every name in them must exist."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.grafana.client import PLUGIN
from connectors.kafka.embedded import jars
from schemas.kafka.stages import RUNNABLE
from schemas.kafka.topics import MAX_MESSAGE_BYTES, Topics
from streams.config import loader as configuration
from streams.config import settings
from streams.config.api_keys import check_binding
from streams.supervisor.first_start import first_start
from tests.cli_runner import parse_command
from tests.fixtures.grafana_user import GRAFANA_XML, denied_queries

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docker-compose.yml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
STAGES = {name: service for name, service in SERVICES.items() if service.get("command", [""])[0] == "run"}
OURS = {**STAGES, "init": SERVICES["init"]}
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def substitute(text: str) -> str:
    """Substitute the defaults of variables, as Compose does with an empty environment."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def environment(service: str) -> dict[str, str]:
    return {name: substitute(str(value)) for name, value in SERVICES[service].get("environment", {}).items()}


def mounts(service: str) -> dict[str, str]:
    """Return the sources of mounts by their target in the container."""
    volumes = [substitute(volume).split(":") for volume in SERVICES[service].get("volumes", [])]
    return {target: source for source, target, *_ in volumes}


def copies() -> list[tuple[list[str], str]]:
    """Return sources and target of every COPY from the project."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return [(line.split()[:-1], line.split()[-1]) for line in lines]


def commands() -> list[list[str]]:
    """Return the arguments of every `sluice` command."""
    arguments = [service["command"] for service in STAGES.values()]
    return arguments + [
        line.split()[1:] for line in SERVICES["init"]["command"][0].splitlines() if line.startswith("sluice ")
    ]


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_every_command_exists_with_its_arguments(arguments: list[str]) -> None:
    parse_command(arguments)


def test_each_stage_has_one_service_of_its_name() -> None:
    assert {name: service["command"] for name, service in STAGES.items()} == {name: ["run", name] for name in RUNNABLE}


def test_our_services_share_one_image_that_is_built_here() -> None:
    assert {(service["image"], service["build"]) for service in OURS.values()} == {("sluice:local", ".")}


@pytest.mark.parametrize("service", SERVICES)
def test_every_sluice_variable_of_a_container_is_read(service: str) -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "streams").rglob("*.py"))

    names = [name for name in environment(service) if name.startswith("SLUICE_")]

    assert [name for name in names if f'"{name}"' not in source] == []


def test_every_variable_is_documented() -> None:
    named = set(re.findall(r"\$\{(\w+)", TEXT)) | configuration.ENVIRONMENT_OVERRIDES.keys()

    documented = "".join((ROOT / "docs" / page).read_text("utf-8") for page in ("operations.md", "configuration.md"))

    assert {name for name in named if f"`{name}`" not in documented} == set()


def test_every_port_is_bound_to_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert len(ports) == 4
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", substitute(port)) for port in ports)


@pytest.mark.parametrize("service", SERVICES)
def test_every_mounted_path_exists_and_every_volume_is_declared(service: str) -> None:
    for source in mounts(service).values():
        if source.startswith("."):
            assert (ROOT / source).exists()
        else:
            assert source in COMPOSE["volumes"]


def test_no_secret_is_in_the_file() -> None:
    secret = [
        value
        for service in SERVICES
        for name, value in SERVICES[service].get("environment", {}).items()
        if re.search("PASSWORD|KEY|TOKEN|SECRET", name)
    ]

    assert secret
    assert all(re.fullmatch(r"\$\{\w+:-(admin)?\}", value) for value in secret)  # admin is Grafana's own, to be changed


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_but_init_has_a_health_check_and_restarts(service: str) -> None:
    described = SERVICES[service]

    assert described["restart"] == ("no" if service == "init" else "unless-stopped")
    assert ("healthcheck" in described) == (service != "init")


@pytest.mark.parametrize("service", [*STAGES, "grafana"])
def test_service_that_needs_topics_or_tables_waits_for_init(service: str) -> None:
    assert SERVICES[service]["depends_on"] == {"init": {"condition": "service_completed_successfully"}}


def test_health_checks_use_listening_ports(tmp_path: Path) -> None:
    for name, stage in STAGES.items():
        url = re.search(r"http://127\.0\.0\.1:(\d+)/(\w+)", stage["healthcheck"]["test"][3])
        assert url is not None
        ready = (str(settings.Settings().http.port), "readyz")
        assert url.groups() == (ready if name == "ingress" else (environment(name)["SLUICE_HEALTH_PORT"], "healthz"))


def test_first_start_creates_a_configuration_that_allows_remote_clients(tmp_path: Path) -> None:
    config, environ = tmp_path / "sluice.yaml", environment("ingress")
    first_start(ROOT / "deploy" / "sluice.yaml", config)

    loaded = configuration.load(config, environ | {"SLUICE_CONFIG": str(config)})

    check_binding(loaded)
    assert loaded.http.host == "0.0.0.0"
    assert loaded.kafka.bootstrap_servers == "kafka:19092"
    assert loaded.clickhouse.url == "http://sluice:@clickhouse:8123"


def test_configuration_template_is_at_the_path_that_init_reads() -> None:
    targets = [target for sources, target in copies() if sources == ["deploy/sluice.yaml"]]

    assert targets == re.findall(r"streams\.supervisor\.first_start (\S+)", SERVICES["init"]["command"][0])
    assert {Path(environment(name)["SLUICE_CONFIG"]).parent for name in OURS} == {Path("/etc/sluice")}
    assert all("/etc/sluice" in mounts(name) for name in OURS)


def test_copied_files_exist_and_are_not_ignored() -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    sources = {source for sources, _ in copies() for source in sources}

    assert sources == let_through
    assert all((ROOT / source).exists() for source in sources)


def test_image_has_the_makefiles_version_of_uv() -> None:
    pinned = re.compile(r"uv==[\d.]+")

    assert pinned.findall(DOCKERFILE) == pinned.findall((ROOT / "Makefile").read_text("utf-8"))


def test_kafka_has_the_embedded_version_and_maximum_record_size() -> None:
    kafka = environment("kafka")

    assert SERVICES["kafka"]["image"].partition(":")[2] in jars.KAFKA
    assert int(kafka["KAFKA_MESSAGE_MAX_BYTES"]) == int(kafka["KAFKA_REPLICA_FETCH_MAX_BYTES"]) == MAX_MESSAGE_BYTES


def test_kafka_advertises_addresses_that_it_listens_on() -> None:
    kafka = environment("kafka")
    listening = dict(each.split("://:") for each in kafka["KAFKA_LISTENERS"].split(","))
    advertised = dict(each.split("://") for each in kafka["KAFKA_ADVERTISED_LISTENERS"].split(","))
    secured = dict(each.split(":") for each in kafka["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))

    assert advertised["STACK"] == f"kafka:{listening['STACK']}" == environment("call")["SLUICE_KAFKA"]
    assert advertised["HOST"] == f"localhost:{listening['HOST']}"
    assert secured.keys() == listening.keys()
    assert kafka["KAFKA_CONTROLLER_QUORUM_VOTERS"] == f"1@kafka:{listening['CONTROLLER']}"
    assert kafka["KAFKA_LOG_DIRS"] in mounts("kafka")


def test_every_named_topic_exists() -> None:
    known = {topic.name for topic in Topics().all}

    assert set(re.findall(r"\bllm\.[a-z.-]+v\d+\b", TEXT + DOCKERFILE)) <= known


def test_clickhouse_has_the_minimum_version() -> None:
    major, minor = SERVICES["clickhouse"]["image"].partition(":")[2].split(".")[:2]

    assert (int(major), int(minor)) >= (25, 8)


def test_grafana_finds_its_plugin_data_source_and_dashboards() -> None:
    provisioning = ROOT / "dashboards" / "provisioning"
    source = yaml.safe_load((provisioning / "datasources" / "sluice.yaml").read_text("utf-8"))["datasources"][0]
    provider = yaml.safe_load((provisioning / "dashboards" / "sluice.yaml").read_text("utf-8"))["providers"][0]
    given = environment("grafana")

    assert given["GF_PLUGINS_PREINSTALL_SYNC"].partition("@")[0] == PLUGIN == source["type"]
    assert source["jsonData"]["host"] in SERVICES
    assert set(re.findall(r"\$\{(\w+)\}", str(source))) <= given.keys()
    assert mounts("grafana")[provider["options"]["path"]] == "./dashboards"
    assert ET.parse(GRAFANA_XML).find(f"users/{given['CLICKHOUSE_GRAFANA_USER']}") is not None


def columns(table: str) -> set[str]:
    """Return the columns of a table or of the view over it."""
    sql = "".join(path.read_text("utf-8") for path in sorted((ROOT / "schemas" / "tables").glob("*.sql")))
    created = re.search(
        rf"CREATE TABLE IF NOT EXISTS {table.removesuffix('_log')}_log \((.*?)\n\) ENGINE", sql, re.DOTALL
    )
    assert created is not None
    return set(re.findall(r"^    ([a-z_]+) [A-Z]", created[1], re.MULTILINE))


@pytest.mark.flow
def test_grafanas_user_has_the_rights_of_an_analyst(tmp_path: Path) -> None:
    roles = (ROOT / "schemas" / "tables" / "004_roles.server.sql").read_text("utf-8")
    allowed = {
        table: {column.strip() for column in named.split(",")}
        for named, table in re.findall(r"GRANT SELECT\(([^)]*)\) ON (\w+) TO analyst", roles)
    }
    reads = {f"SELECT {column} FROM {table} LIMIT 0" for table in allowed for column in allowed[table]}
    words = {f"SELECT {column} FROM {table} LIMIT 0" for table in allowed for column in columns(table) - allowed[table]}
    changes = {"INSERT INTO events_log (tenant) VALUES ('x')", "TRUNCATE TABLE events_log", "DROP TABLE requests_log"}
    others = {"SELECT * FROM unsettled", "SELECT * FROM ingest_delay"}

    assert {"input", "output"} <= {query.split()[1] for query in words}
    denied = denied_queries(tmp_path / "clickhouse", sorted(reads | words | changes | others))

    assert denied == words | changes
