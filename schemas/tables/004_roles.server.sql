-- Who may see what, on a server: chDB has no users. Give these roles to users of your own, for example
--     CREATE USER ada IDENTIFIED BY '…'; GRANT analyst TO ada;
-- A view asks for the same rights on the table under it, so each grant comes twice.
CREATE ROLE IF NOT EXISTS gateway_writer;
GRANT SELECT, INSERT, CREATE TABLE, CREATE VIEW, ALTER TABLE ON * TO gateway_writer;

-- Everything but people's words: no prompt, no answer, no error that may quote them.
-- The setting: else the engine reads labels['team'] as a column of its own, for which no right was given.
CREATE ROLE IF NOT EXISTS analyst SETTINGS optimize_functions_to_subcolumns = 0;
GRANT SELECT(
    tenant, event_time, event_type, event_id, request_id, idempotency_key, correlation_id, trace_id, stage,
    source, key_id, operation, provider, request_model, provider_model, response_model, outcome, error_type,
    http_status, attempt, worker, input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens,
    reasoning_output_tokens, cost_usd, duration_ms, finish_reasons, policy_actions, labels, attributes,
    config_hash, bytes, kafka_topic, kafka_partition, kafka_offset, ingested_at
) ON events TO analyst;
GRANT SELECT(
    tenant, event_time, event_type, event_id, request_id, idempotency_key, correlation_id, trace_id, stage,
    source, key_id, operation, provider, request_model, provider_model, response_model, outcome, error_type,
    http_status, attempt, worker, input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens,
    reasoning_output_tokens, cost_usd, duration_ms, finish_reasons, policy_actions, labels, attributes,
    config_hash, bytes, kafka_topic, kafka_partition, kafka_offset, ingested_at
) ON events_log TO analyst;
GRANT SELECT(
    tenant, received_at, request_id, idempotency_key, trace_id, key_id, source, operation, request_model,
    provider, provider_model, response_model, response_id, outcome, error_type, http_status, attempts,
    input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens, reasoning_output_tokens,
    cost_usd, finish_reasons, policy_actions, labels, admitted_at, routed_at, called_at, answered_at,
    settled_at, deadline_at, duration_ms, filter_ms, route_ms, queue_ms, call_ms, config_hash, kafka_partition,
    kafka_offset, version, ingested_at
) ON requests TO analyst;
GRANT SELECT(
    tenant, received_at, request_id, idempotency_key, trace_id, key_id, source, operation, request_model,
    provider, provider_model, response_model, response_id, outcome, error_type, http_status, attempts,
    input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens, reasoning_output_tokens,
    cost_usd, finish_reasons, policy_actions, labels, admitted_at, routed_at, called_at, answered_at,
    settled_at, deadline_at, duration_ms, filter_ms, route_ms, queue_ms, call_ms, config_hash, kafka_partition,
    kafka_offset, version, ingested_at
) ON requests_log TO analyst;
GRANT SELECT ON unsettled TO analyst;
GRANT SELECT ON ingest_delay TO analyst;

-- The words too.
CREATE ROLE IF NOT EXISTS pii_reader;
GRANT SELECT ON * TO pii_reader;

-- The same columns as an analyst, read-only, and never long; Grafana's plugin sets its own time limit.
CREATE ROLE IF NOT EXISTS grafana_reader SETTINGS readonly = 1, max_execution_time = 60 CHANGEABLE_IN_READONLY;
GRANT analyst TO grafana_reader;
