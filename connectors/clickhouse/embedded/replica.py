"""The reader process's own chDB folder: copied table definitions over the audit process's data parts.

chDB allows one process per folder. A second folder whose tables have the same definitions, on a read-only disk that is
the audit process's folder, finds the same parts by the tables' UUIDs. Measured with chDB 26.9: rows are visible 0.4 to
0.7 s after their insert (at most 1.5 s), at 1 % of a core without queries, 3 % with 600 part folders. A merge removes
its sources only after eight minutes, longer than any query here runs.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from string import Template
from urllib.parse import urlencode
from xml.sax.saxutils import escape as escape_xml

_TEMPLATES = Path(__file__).parent / "chdb"
_UUID = re.compile(r"UUID '([0-9a-f-]{36})'")

EVERY_TENANT = "*"
"""Value of ``log_comment`` of a connection that may see all rows."""
SEPARATOR = "\n"
"""Between the tenants in ``log_comment``."""

SHARED_SYSTEM_TABLES = frozenset(
    {
        *("aggregate_function_combinators", "build_options", "codecs", "collations", "columns"),
        *("completions", "contributors", "current_roles", "data_skipping_index_types"),
        *("data_type_families", "database_engines", "databases", "disk_types", "documentation"),
        *("enabled_roles", "formats", "functions", "keywords", "licenses", "merge_tree_settings"),
        *("numbers", "numbers_mt", "one", "primes", "privileges", "settings", "settings_changes"),
        *("statements", "table_engines", "table_functions", "tables", "time_zones", "tokenizers"),
        *("unicode", "zeros", "zeros_mt"),
    }
)
"""System tables that every reader sees: they describe the engine and the definitions of tables, not rows or queries."""

RESTRICTED_SYSTEM_TABLES = frozenset(
    {
        *("asynchronous_inserts", "asynchronous_loader", "azure_queue_metadata"),
        *("azure_queue_metadata_cache", "azure_queue_settings", "background_schedule_pool", "backups"),
        *("certificates", "clusters", "constraints", "dashboards", "data_skipping_indices"),
        *("database_replicas", "detached_parts", "detached_tables", "dictionaries"),
        *("dictionary_layouts", "dictionary_sources", "dimensional_metrics", "disks"),
        *("distributed_ddl_queue", "distribution_queue", "dns_cache", "dropped_tables"),
        *("dropped_tables_parts", "errors", "events", "fail_points", "filesystem_cache"),
        *("filesystem_cache_settings", "grants", "graphite_retentions", "handlers", "histogram_metrics"),
        *("hypothetical_indexes", "hypothetical_projections", "iceberg_files", "iceberg_history"),
        *("jemalloc_arena_bins", "jemalloc_bins", "jemalloc_profile_text"),
        *("jemalloc_sampled_allocations", "jemalloc_stats", "kafka_consumers", "macros"),
        *("masking_policies", "merges", "metrics", "moves", "mutations", "named_collections"),
        *("part_moves_between_shards", "parts", "parts_columns", "processes", "projection_parts"),
        *("projection_parts_columns", "projections", "query_cache", "query_condition_cache"),
        *("quota_limits", "quota_usage", "quotas", "quotas_usage", "remote_data_paths", "replicas"),
        *("replicated_fetches", "replicated_merge_tree_settings", "replication_queue", "resources"),
        *("rocksdb", "role_grants", "roles", "row_policies", "s3_queue_metadata", "s3_queue_settings"),
        *("s3queue_metadata_cache", "scheduler", "schema_inference_cache", "server_settings"),
        *("session_query_ids", "settings_profile_elements", "settings_profiles", "stack_trace"),
        *("storage_policies", "symbols", "user_defined_functions", "user_directories", "user_processes"),
        *("user_query_log", "users", "view_refreshes", "warnings", "workloads"),
    }
)
"""All other system tables of the engine, which show queries, errors, parts and files of all tenants. A reader that is
bound to tenants sees no row of them. The engine has no policy for a whole database, so each is named."""

_UNBOUND = f"getSetting('log_comment') = '{EVERY_TENANT}'"
_OF_TENANT = rf"{_UNBOUND} OR (tenant != '' AND has(splitByChar('\n', getSetting('log_comment')), tenant))"


def create_replica(folder: Path, source: Path, database: str) -> tuple[Path, dict[str, str]]:
    """Make the chDB folder of a reader in an empty ``folder``; return its path and the options to open it with.

    Raises:
        OSError: a file is missing in ``source``, or can't be written.
        ValueError: the database's definition is not in the form that chDB writes.

    """
    values = {
        "path": escape_xml(os.path.realpath(source)),
        "database": database,
        "of_tenant": escape_xml(_OF_TENANT),
        "system": "\n".join(
            f"<{name}><filter>{escape_xml(_UNBOUND)}</filter></{name}>" for name in sorted(RESTRICTED_SYSTEM_TABLES)
        ),
    }
    for name in ("reader_config.xml", "reader_users.xml"):
        text = Template((_TEMPLATES / name).read_text("utf-8")).substitute(values)
        (folder / name).write_text(text, "utf-8")
    path = folder / "clickhouse"
    _copy_definitions(path, source, database)
    return path, {
        "config-file": str(folder / "reader_config.xml"),
        "users_config": str(folder / "reader_users.xml"),
    }


def connection_string(path: Path, options: Mapping[str, str]) -> str:
    """Return what chDB opens a folder by."""
    return f"{os.path.realpath(path)}?{urlencode(options)}"


def _copy_definitions(path: Path, source: Path, database: str) -> None:
    definition = source / "metadata" / f"{database}.sql"
    uuid = _UUID.search(definition.read_text("utf-8"))
    if uuid is None:
        raise ValueError(f"{definition} names no UUID")
    tables = Path("store") / uuid[1][:3] / uuid[1]
    (path / "metadata").mkdir(parents=True)
    (path / tables).mkdir(parents=True)
    shutil.copyfile(definition, path / "metadata" / definition.name)
    for file in (source / tables).glob("*.sql"):
        shutil.copyfile(file, path / tables / file.name)
    (path / "metadata" / database).symlink_to(Path("..") / tables)
