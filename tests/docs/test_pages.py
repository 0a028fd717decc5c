"""Tests of the documentation: configurations load, commands parse, links resolve, tables are complete."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from connectors.kafka.security.settings import OAuth, Security
from connectors.providers import KINDS
from connectors.providers.settings import ProviderSettings
from streams.config import deployment as sections
from streams.config import loader as configuration
from streams.config import settings
from tests.cli_runner import check_names, parse_command
from tests.docs.pages import PAGES, ROOT, code_spans, rows, section

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(page, kind, block) for page, text in PAGES.items() for kind, block in FENCE.findall(text)]
PROSE = {page: FENCE.sub("", text) for page, text in PAGES.items()}
CONFIGURATION = PAGES["docs/configuration.md"]
SECTIONS: dict[str, type[BaseModel]] = {
    "Top level": settings.Settings,
    "`kafka`": sections.KafkaSettings,
    "`http`": sections.HttpSettings,
    "`overload`": sections.OverloadSettings,
    "`clickhouse`": sections.ClickHouseSettings,
    "`providers`": ProviderSettings,
    "`models`": settings.Model,
    "`tenants`": settings.Tenant,
    "`keys`": settings.Key,
    "`policies`": settings.Policy,
    "`prices`": settings.Price,
}


class AnyEnvironment(dict[str, str]):
    """Environment in which every variable is set, but for those of the gateway."""

    def __contains__(self, name: object) -> bool:
        return not str(name).startswith("SLUICE_")

    def __missing__(self, name: str) -> str:
        return f"the {name}"


CONFIGS = [(page, block) for page, kind, block in BLOCKS if kind == "yaml"]


@pytest.mark.parametrize(("page", "block"), CONFIGS, ids=[page for page, _ in CONFIGS])
def test_configuration_loads(page: str, block: str, tmp_path: Path) -> None:
    file = tmp_path / "sluice.yaml"
    file.write_text(block, "utf-8")

    loaded = configuration.load(file, AnyEnvironment())

    assert yaml.safe_load(block).keys() <= loaded.model_fields_set, page


SNIPPETS = [(page, block) for page, kind, block in BLOCKS if kind == "python"]


@pytest.mark.parametrize(("page", "block"), SNIPPETS, ids=[page for page, _ in SNIPPETS])
def test_python_snippet_compiles(page: str, block: str) -> None:
    compile(block, page, "exec")

    assert block.isascii(), page  # an ellipsis in a header is invalid


LINES = [
    (page, shlex.split(line, comments=True)[1:])
    for page, kind, block in BLOCKS
    if kind in {"", "sh", "console"}
    for line in re.findall(r"^(?:\$ )?(?:[A-Z_]+=\S* )*(sluice .+)$", block, re.MULTILINE)
]
MENTIONS = [
    (page, line.split()[1:])
    for page, text in PROSE.items()
    for line in sorted(code_spans(text))
    if re.match(r"sluice [a-z-]", line)
]


@pytest.mark.parametrize(("page", "arguments"), LINES, ids=[" ".join(arguments) for _, arguments in LINES])
def test_command_line_parses(page: str, arguments: list[str]) -> None:
    parse_command(arguments)


@pytest.mark.parametrize(("page", "arguments"), MENTIONS, ids=[" ".join(arguments) for _, arguments in MENTIONS])
def test_command_in_prose_exists(page: str, arguments: list[str]) -> None:
    check_names(arguments)


def anchors(text: str) -> set[str]:
    """Return GitHub's anchors of the headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_link_resolves(page: str) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", PROSE[page]):
        path = (ROOT / page).parent / target if target else ROOT / page

        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text("utf-8")), f"{target}#{anchor}"


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_setting_has_a_row_with_its_default(heading: str) -> None:
    fields, listed = SECTIONS[heading].model_fields, dict[str, tuple[str, str]]()
    for names, default, meaning in rows(section(CONFIGURATION, heading)):
        listed |= dict.fromkeys(code_spans(names), (default, meaning))

    assert listed.keys() == fields.keys()
    for name, (default, meaning) in listed.items():
        field = fields[name]
        assert field.is_required() == ("required" in meaning), name
        if isinstance(field.default, str | int | float | Path) and field.default != "":
            assert f"`{field.default:g}`" if isinstance(field.default, float) else f"`{field.default}`" == default


@pytest.mark.parametrize(("heading", "model"), [("Settings", Security), ("Tokens", OAuth)])
def test_every_setting_of_kafka_security_has_a_row(heading: str, model: type[BaseModel]) -> None:
    listed = {name for row in rows(section(PAGES["docs/kafka-security.md"], heading)) for name in code_spans(row[0])}

    assert listed == model.model_fields.keys()


def test_every_part_of_a_policy_rule_is_named() -> None:
    text = code_spans(section(CONFIGURATION, "`policies`"))

    assert settings.DenyRule.model_fields.keys() <= text
    assert set(settings.Entity.__args__) <= text  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_of_a_kind_of_provider_is_documented(kind: str) -> None:
    explained = {name for row in rows(section(PAGES["docs/providers.md"], f"`{kind}`")) for name in code_spans(row[0])}

    own = KINDS[kind].Settings.model_fields.keys() - ProviderSettings.model_fields.keys()

    assert own <= explained


def test_every_environment_variable_is_listed() -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "streams").rglob("*.py"))
    internal = {"SLUICE_SUPERVISED", "SLUICE_PROCESS"}  # between `sluice up` and its children
    listed = {row[0]: row[1] for row in rows(section(CONFIGURATION, "Variables"))}

    assert {f"`{name}`" for name in set(re.findall(r'"(SLUICE_\w+)"', source)) - internal} <= listed.keys()
    assert {
        f"`{name}`": f"`{'.'.join(path)}`" for name, path in configuration.ENVIRONMENT_OVERRIDES.items()
    }.items() <= (listed.items())


DECISIONS = [page for page in PAGES if re.match(r"docs/decisions/\d", page)]


@pytest.mark.parametrize("page", DECISIONS)
def test_decision_page_is_short_and_has_the_four_headings(page: str) -> None:
    text = PAGES[page]
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)

    assert re.match(rf"# {Path(page).name[:3]}: ", text)
    assert headings[:3] == ["Context", "Decision", "Consequences"]
    assert len(headings) == 4
    assert headings[3].startswith("Measured")
    assert text.count("\n") <= 60


def test_index_of_decisions_lists_each_page_in_order() -> None:
    listed = re.findall(r"^\| (\d{3}) \| \[(.+?)\]\((.+?)\)", PAGES["docs/decisions/README.md"], re.MULTILINE)

    assert [f"docs/decisions/{file}" for _, _, file in listed] == DECISIONS
    for number, title, file in listed:
        assert PAGES[f"docs/decisions/{file}"].startswith(f"# {number}: {title}\n")


def test_glossary_explains_each_word_once() -> None:
    explained = re.findall(r"^\| \*\*(.+?)\*\* \| .+ \| \[.+\]\(.+\) \|$", PAGES["docs/glossary.md"], re.MULTILINE)

    assert len(explained) == len(set(explained)) == PAGES["docs/glossary.md"].count("| **")


def test_troubleshooting_of_kafkas_security_quotes_the_messages_of_the_code() -> None:
    source = (ROOT / "connectors/kafka/security/login_diagnosis.py").read_text("utf-8")
    messages = re.sub(r'"\s*\n\s*f?"', "", source)
    table = section(PAGES["docs/kafka-security.md"], "Troubleshooting").partition("| --- |")[2]

    quoted = re.findall(r"`([^`]+)`", "\n".join(line for line in table.splitlines() if line.startswith("|")))

    assert len(quoted) == 8
    assert [phrase for phrase in quoted if phrase not in messages] == []
