-- One fat row per settled request: what dashboards, analysts and datasets read, with no join.
-- A request that a crash settled twice keeps its first end: the version falls as the offset grows.
CREATE TABLE IF NOT EXISTS requests_log (
    tenant LowCardinality(String),
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    request_id UUID,
    idempotency_key String,
    trace_id String,
    key_id LowCardinality(String),
    source LowCardinality(String),
    operation LowCardinality(String),
    request_model LowCardinality(String),
    provider LowCardinality(String),
    provider_model LowCardinality(String),
    response_model LowCardinality(String),
    response_id String,
    outcome LowCardinality(String),
    error_type LowCardinality(String),
    error_message String CODEC(ZSTD(3)),
    http_status UInt16,
    attempts UInt16,
    input_tokens UInt32,
    output_tokens UInt32,
    cache_read_input_tokens UInt32,
    cache_creation_input_tokens UInt32,
    reasoning_output_tokens UInt32,
    cost_usd Nullable(Decimal(18, 12)),
    finish_reasons Array(LowCardinality(String)),
    policy_actions Array(LowCardinality(String)),
    labels Map(LowCardinality(String), String),
    admitted_at Nullable(DateTime64(3, 'UTC')),
    routed_at Nullable(DateTime64(3, 'UTC')),
    called_at Nullable(DateTime64(3, 'UTC')),
    answered_at Nullable(DateTime64(3, 'UTC')),
    settled_at DateTime64(3, 'UTC'),
    deadline_at DateTime64(3, 'UTC'),
    duration_ms UInt32,
    filter_ms Nullable(UInt32),
    route_ms Nullable(UInt32),
    queue_ms Nullable(UInt32),
    call_ms Nullable(UInt32),
    config_hash LowCardinality(String),
    input String CODEC(ZSTD(3)) TTL toDateTime(ingested_at) + INTERVAL 90 DAY,
    output String CODEC(ZSTD(3)) TTL toDateTime(ingested_at) + INTERVAL 90 DAY,
    kafka_partition UInt16,
    kafka_offset UInt64,
    version UInt64,
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3),
    INDEX by_request request_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (tenant, received_at, request_id)
TTL toDateTime(ingested_at) + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE VIEW IF NOT EXISTS requests AS SELECT * FROM requests_log FINAL;
