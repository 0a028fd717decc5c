"""chDB, the ClickHouse engine in process: read-only queries over HTTP, and integrity of its parts."""
