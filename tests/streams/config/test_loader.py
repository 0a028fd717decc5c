from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from streams.config.loader import ENVIRONMENT_OVERRIDES, load
from streams.config.settings import ConfigurationError, Settings


def write(folder: Path, text: str) -> Path:
    path = folder / "sluice.yaml"
    path.write_text(text, "utf-8")
    return path


def fault(path: Path, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigurationError) as raised:
        load(path, environ or {})
    return str(raised.value).replace(f"{path}", "sluice.yaml")


def test_missing_default_file_means_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert load(environ={}) == Settings()


def test_named_file_overrides_the_file_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "deadline_s: 1")
    (tmp_path / "other.yaml").write_text("deadline_s: 2", "utf-8")

    assert load(environ={}).deadline_s == 1
    assert load(environ={"SLUICE_CONFIG": "other.yaml"}).deadline_s == 2
    assert load(Path("other.yaml"), {"SLUICE_CONFIG": "sluice.yaml"}).deadline_s == 2


def test_missing_named_file_is_an_error(tmp_path: Path) -> None:
    assert (
        fault(tmp_path / "sluice.yaml") == "sluice.yaml: no such file (named by SLUICE_CONFIG or on the command line)"
    )


def test_directory_is_an_error(tmp_path: Path) -> None:
    assert fault(tmp_path) == "sluice.yaml: can't be read: Is a directory"


def test_file_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "sluice.yaml"
    path.write_bytes(b"state: \xff\xfe")

    assert fault(path) == "sluice.yaml: can't be read: it is not UTF-8"


@pytest.mark.parametrize("text", ["", "\n# all of it is commented out\n", "providers:\nmodels:\nhttp:\n"])
def test_empty_file_and_empty_sections_mean_defaults(tmp_path: Path, text: str) -> None:
    environ = {"SLUICE_HTTP_PORT": "1234"}

    assert load(write(tmp_path, text), environ) == load(write(tmp_path, "{}"), environ)


def test_invalid_yaml_is_an_error_with_its_place_and_without_content(tmp_path: Path) -> None:
    path = write(tmp_path, 'providers:\n  own: {kind: openai, api_key: "sk-secret}\n')

    message = fault(path)

    assert message.startswith("sluice.yaml: line 3, column 1: can't be read as YAML")
    assert "sk-secret" not in message


@pytest.mark.parametrize("text", ["- a list", "just a word", "5"])
def test_document_that_is_not_a_mapping_is_an_error(tmp_path: Path, text: str) -> None:
    assert fault(write(tmp_path, text)) == "sluice.yaml: must be a mapping, such as `providers: …`"


def test_each_fault_is_one_line_with_its_place_and_without_the_value(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'providers: {own: {kind: openai, api_key: "sk-secret\\nsk-more"}, other: {kind: sk-secret}}\n'
        "deadline_s: sk-secret",
    )

    message = fault(path)

    assert [line.split(": ")[:2] for line in message.splitlines()] == [
        ["sluice.yaml", "providers.own.api_key"],
        ["sluice.yaml", "providers.other"],
        ["sluice.yaml", "deadline_s"],
    ]
    assert "sk-" not in message


def test_variables_are_replaced_anywhere_in_a_value(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'providers: {own: {kind: openai, base_url: "http://${HOST}/v1", api_key: "${KEY}"}}\n'
        'models: {m: {targets: ["own/${MODEL}-mini"]}}',
    )

    settings = load(path, {"HOST": "127.0.0.1:1", "KEY": "sk-secret", "MODEL": "gpt"})

    assert settings.providers["own"].base_url == "http://127.0.0.1:1/v1"
    assert settings.providers["own"].api_key is not None
    assert settings.providers["own"].api_key.get_secret_value() == "sk-secret"
    assert settings.models["m"].targets[0].target == "own/gpt-mini"


def test_variables_in_keys_are_not_replaced(tmp_path: Path) -> None:
    path = write(tmp_path, 'models: {"${MODEL}": {targets: [sim/echo]}}')

    assert load(path, {"MODEL": "fast"}).models.keys() == {"${MODEL}"}


def test_unset_variable_is_an_error_with_its_place(tmp_path: Path) -> None:
    path = write(tmp_path, 'providers: {own: {kind: openai, api_key: "${NOBODY_SET_ME}"}}')

    assert fault(path) == "sluice.yaml: providers.own.api_key: environment variable NOBODY_SET_ME is not set"


OWN = """
providers: {own: {kind: openai, api_key: "${OWN_KEY}", api_keys: ["${OTHER_KEY}"], headers: {x-team: "a ${TEAM}"}}}
"""


def test_load_without_secrets_accepts_unset_secrets_and_has_the_same_hash(tmp_path: Path) -> None:
    path = write(tmp_path, OWN)
    complete = load(path, {"OWN_KEY": "sk-1", "OTHER_KEY": "sk-2", "TEAM": "team"})

    without_secrets = load(path, {}, secrets=False)

    assert without_secrets.hash == complete.hash
    with pytest.raises(ConfigurationError, match="OWN_KEY is not set"):
        load(path, {})


@pytest.mark.parametrize(
    "text",
    [
        "providers: {own: {kind: openai, base_url: '${GONE}'}}",
        "providers: {own: {kind: bedrock, api_key: k, region: '${GONE}'}}",
        "providers: {own: {kind: simulated}}\nclickhouse: {url: 'http://me:${GONE}@there'}",
    ],
    ids=["base_url", "region", "clickhouse"],
)
def test_load_without_secrets_requires_other_variables(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)

    with pytest.raises(ConfigurationError, match="environment variable GONE is not set"):
        load(path, {}, secrets=False)


def test_environment_overrides_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "http: {port: 1}\nkafka: {partitions: 8}")

    settings = load(path, {"SLUICE_HTTP_PORT": "2", "SLUICE_KAFKA": "k1:9092,k2:9092", "SLUICE_STATE": "/data"})

    assert settings.http.port == 2
    assert (settings.kafka.bootstrap_servers, settings.kafka.partitions) == ("k1:9092,k2:9092", 8)
    assert settings.state == Path("/data")


def test_empty_variable_overrides_nothing(tmp_path: Path) -> None:
    assert load(write(tmp_path, "http: {port: 1}"), {"SLUICE_HTTP_PORT": ""}).http.port == 1


def test_fault_of_an_override_names_the_variable(tmp_path: Path) -> None:
    message = fault(write(tmp_path, "http: {port: 1}"), {"SLUICE_HTTP_PORT": "eighty"})

    assert message == "SLUICE_HTTP_PORT: must be a whole number"


@pytest.mark.parametrize(
    "url",
    [
        "foo",
        "ch:8123",
        "://ch:8123",
        "http://",
        "http://:8123",
        "clickhouse://ch:9000",
        "http://ch:0",
        "http://ch:81230",
        "http://ch:8123/path",
        "http://me:sk-secret#1@ch:8123",
        "http://me:8/sk-secret@ch:8123",
        "http://[::1",
    ],
)
def test_invalid_clickhouse_url_is_a_fault_of_the_variable(tmp_path: Path, url: str) -> None:
    message = fault(write(tmp_path, ""), {"SLUICE_CLICKHOUSE_URL": url})

    assert message.startswith("SLUICE_CLICKHOUSE_URL: must be http(s)://user:password@host:port")
    assert "sk-" not in message


@pytest.mark.parametrize("url", ["http://ch", "https://me:p%23@ch:8443/", "http://[::1]:8123", "http://me:p@w@ch"])
def test_valid_clickhouse_url_is_unchanged(url: str) -> None:
    assert load(environ={"SLUICE_CLICKHOUSE_URL": url}).clickhouse.url == url


def test_override_inside_an_invalid_section_keeps_the_fault_of_the_section(tmp_path: Path) -> None:
    assert fault(write(tmp_path, "http: 8080"), {"SLUICE_HTTP_PORT": "1"}).startswith(
        "sluice.yaml: http: must be an object"
    )


SECURED = {
    "SLUICE_KAFKA": "kafka:9093",
    "SLUICE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "SLUICE_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "SLUICE_KAFKA_USERNAME": "me",
    "SLUICE_KAFKA_PASSWORD": "canary",
    "SLUICE_KAFKA_SSL_CAFILE": "ca.pem",
    "SLUICE_KAFKA_SSL_CERTFILE": "own.pem",
    "SLUICE_KAFKA_SSL_KEYFILE": "own.key",
}


VALID_VALUES = {"SLUICE_HTTP_INSTANCE": "0", "SLUICE_CLICKHOUSE_URL": "http://ch:8123"}


@pytest.mark.parametrize(("variable", "steps"), ENVIRONMENT_OVERRIDES.items())
def test_each_override_sets_an_existing_field(variable: str, steps: tuple[str, ...]) -> None:
    environ = SECURED if variable in SECURED else {variable: VALID_VALUES.get(variable, "1")}

    value: object = load(environ=environ)
    for step in steps:
        value = getattr(value, step)

    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    assert text == environ[variable]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kafka: {port: 99999}", "kafka.port: must be at most 65535"),
        ("nope: 1", "nope: is not known here"),
        ("provider: {}", "provider: is not known here; did you mean `providers`?"),
        ("models: {a: {targets: [x]}}", "models.a.targets.0.target: must be provider/model"),
        ("models: {a: {targets: []}}", "models.a.targets: must not be empty"),
        (
            "models: {a: {targets: [sim/x], policy: best}}",
            "models.a.policy: must be 'ordered', 'weighted' or 'latency'",
        ),
        ("tenants: {Acme: {}}", "tenants.Acme: must be a name of lower-case letters, digits and hyphens, 63 at most"),
        ("deadline_s: 0", "deadline_s: must be above 0"),
        ("keys: 5", "keys: must be a list"),
        ("providers: {o: {kind: openai, base_url: 'ftp://x'}}", "providers.o.base_url: must be an address such as"),
        ("policies: {p: {phone_region: usa}}", "policies.p.phone_region: must match ^[A-Z]{2}$"),
    ],
)
def test_fault_is_a_sentence_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    message = fault(write(tmp_path, text), {})

    assert message.startswith(f"sluice.yaml: {expected}")
    assert "Input" not in message


def test_contradicting_kafka_security_is_one_sentence_with_its_place(tmp_path: Path) -> None:
    text = "kafka: {bootstrap_servers: 'k:1', security: {security_protocol: SASL_SSL, sasl_mechanism: PLAIN}}"

    assert fault(write(tmp_path, text)) == "sluice.yaml: kafka.security: PLAIN needs a username and a password"
    assert fault(write(tmp_path, "kafka: {security: {security_protocol: SSL}}")) == (
        "sluice.yaml: kafka: security is SSL, but the Kafka that `sluice up` starts has none:"
        " set bootstrap_servers to your own"
    )


def test_override_fills_an_empty_section(tmp_path: Path) -> None:
    file = write(tmp_path, "kafka:\n  security:\n")

    assert load(file, SECURED).kafka.security.username == "me"


def test_kafka_credentials_are_neither_in_the_hash_nor_in_events(tmp_path: Path) -> None:
    settings = load(environ=SECURED)

    assert settings.hash == load(environ={}).hash
    assert "canary" not in settings.public_json + repr(settings) + repr(settings.kafka.address)


def test_all_variables_that_are_not_set_are_reported_with_the_other_faults(tmp_path: Path) -> None:
    path = write(
        tmp_path, 'http: {port: "${PORT}"}\nproviders: {o: {kind: openai, api_key: "${KEY}"}}\ndeadline_s: soon'
    )

    assert fault(path).splitlines() == [
        "sluice.yaml: http.port: environment variable PORT is not set",
        "sluice.yaml: providers.o.api_key: environment variable KEY is not set",
        "sluice.yaml: deadline_s: must be a number",
    ]


@pytest.mark.parametrize("secrets", [True, False])
def test_variable_without_braces_is_a_fault_that_quotes_no_value(secrets: bool, tmp_path: Path) -> None:
    path = write(tmp_path, "providers: {o: {kind: openai, api_key: $OPENAI_API_KEY}}")

    with pytest.raises(ConfigurationError) as raised:
        load(path, {"OPENAI_API_KEY": "sk-secret"}, secrets=secrets)

    assert str(raised.value).endswith("o.api_key: an environment variable needs braces: write ${NAME}, not $NAME")


@pytest.mark.parametrize("value", ["a$b", "$5", "$", "$$", "pre $NAME"])
def test_other_text_with_a_dollar_sign_is_unchanged(value: str, tmp_path: Path) -> None:
    path = write(tmp_path, f"providers: {{o: {{kind: openai, api_key: '{value}'}}}}")

    key = load(path, {}).providers["o"].api_key

    assert key is not None
    assert key.get_secret_value() == value


def test_dollar_sign_is_text_in_variables_and_policies(tmp_path: Path) -> None:
    text = 'providers: {o: {kind: openai, api_key: "${KEY}"}}\npolicies: {p: {deny: [{name: n, keywords: [$ACME]}]}}'

    settings = load(write(tmp_path, text), {"KEY": "$ecret"})

    key = settings.providers["o"].api_key
    assert key is not None
    assert key.get_secret_value() == "$ecret"
    assert settings.policies["p"].deny[0].keywords == ("$ACME",)
