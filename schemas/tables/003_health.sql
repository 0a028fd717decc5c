-- What was accepted and has no end yet, with its age: empty when all is well, but for what is under way.
-- Overdue: ten seconds past the deadline, so it should have been settled as expired. Before the filter has read a plain
-- JSON record nobody knows its deadline: five minutes are taken for it.
-- Looks three days back, which is longer than Kafka keeps a request. What the filter could not read was never accepted.
CREATE VIEW IF NOT EXISTS unsettled AS
SELECT
    tenant,
    request_id,
    min(event_time) AS accepted_at,
    dateDiff('millisecond', min(event_time), now64(3)) AS age_ms,
    max(toUInt64OrZero(attributes['allowed_ms'])) AS allowed_ms,
    age_ms > if(allowed_ms = 0, 300000, allowed_ms) + 10000 AS overdue
FROM events_log
WHERE event_time > now() - INTERVAL 3 DAY
    AND event_type IN ('RequestReceived', 'RequestAdmitted')
    -- not by a group over all events: dashboards ask every few seconds, and this reads little of what has its end
    AND request_id NOT IN (
        SELECT request_id
        FROM events_log
        WHERE event_time > now() - INTERVAL 3 DAY
            AND (event_type = 'RequestSettled' OR (event_type = 'DeadLettered' AND stage = 'filter'))
    )
GROUP BY tenant, request_id
HAVING countIf(event_type = 'RequestReceived') > 0;

-- How long records were on their way into this table, by minute and topic, over the last day.
CREATE VIEW IF NOT EXISTS ingest_delay AS
SELECT
    toStartOfMinute(ingested_at) AS minute,
    kafka_topic,
    count() AS records,
    quantile(0.5)(greatest(0, dateDiff('millisecond', event_time, ingested_at))) AS p50_ms,
    quantile(0.99)(greatest(0, dateDiff('millisecond', event_time, ingested_at))) AS p99_ms,
    max(greatest(0, dateDiff('millisecond', event_time, ingested_at))) AS max_ms
FROM events_log
WHERE ingested_at > now() - INTERVAL 1 DAY
GROUP BY minute, kafka_topic;
