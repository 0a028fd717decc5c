-- Every record of every audited topic, once: its identity is its place on the log.
-- Read it through the view `events`, which leaves out what was inserted twice.
-- request_model is the name that the caller used, provider_model the one that a provider was called by; an event that
-- knows only one of them leaves the other empty.
-- A text is kept where it first appears: the input with RequestAdmitted, the output with AttemptFinished.
-- What is old is told by ingested_at: the other times come from the clocks of callers, who may be wrong by years.
CREATE TABLE IF NOT EXISTS events_log (
    tenant LowCardinality(String),
    event_time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    event_type LowCardinality(String),
    event_id String,
    request_id UUID,
    idempotency_key String,
    correlation_id String,
    trace_id String,
    stage LowCardinality(String),
    source LowCardinality(String),
    key_id LowCardinality(String),
    operation LowCardinality(String),
    provider LowCardinality(String),
    request_model LowCardinality(String),
    provider_model LowCardinality(String),
    response_model LowCardinality(String),
    outcome LowCardinality(String),
    error_type LowCardinality(String),
    error_message String CODEC(ZSTD(3)),
    http_status UInt16,
    attempt UInt16,
    worker LowCardinality(String),
    input_tokens UInt32,
    output_tokens UInt32,
    cache_read_input_tokens UInt32,
    cache_creation_input_tokens UInt32,
    reasoning_output_tokens UInt32,
    cost_usd Nullable(Decimal(18, 12)),
    duration_ms UInt32,
    finish_reasons Array(LowCardinality(String)),
    policy_actions Array(LowCardinality(String)),
    labels Map(LowCardinality(String), String),
    attributes Map(LowCardinality(String), String),
    config_hash LowCardinality(String),
    input String CODEC(ZSTD(3)) TTL toDateTime(ingested_at) + INTERVAL 90 DAY,
    output String CODEC(ZSTD(3)) TTL toDateTime(ingested_at) + INTERVAL 90 DAY,
    bytes UInt32,
    kafka_topic LowCardinality(String),
    kafka_partition UInt16,
    kafka_offset UInt64,
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3),
    INDEX by_request request_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = ReplacingMergeTree(ingested_at)
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (tenant, toStartOfMinute(event_time), kafka_topic, kafka_partition, kafka_offset)
TTL toDateTime(ingested_at) + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE VIEW IF NOT EXISTS events AS SELECT * FROM events_log FINAL;
