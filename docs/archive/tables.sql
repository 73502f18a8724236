-- What an archive comes to. Read by Spark (job.py) and by DuckDB (docs/archives.md): both know `pairs` and `candidates`.

-- Flagged pairs by server, credential and hour.
CREATE VIEW hours AS
SELECT host, substr(started, 1, 13) || ':00Z' AS hour, server, credential, verdict, failure, count(*) AS pairs,
    count(DISTINCT regexp_replace(client, ':[0-9]+$', '')) AS clients, min(started) AS first, max(started) AS last
FROM pairs
WHERE verdict IN ('swallowed', 'partial', 'stalled')
GROUP BY host, substr(started, 1, 13), server, credential, verdict, failure
ORDER BY hour, host, server, credential, verdict, failure;

-- Equal flagged pairs of a host: since when, how often, whether it is over. Candidates are pairs that may belong to it.
CREATE VIEW findings AS
WITH belonging AS (
    SELECT host, verdict, rule, failure, cause, route, server, client, credential, started, 1 AS certain
    FROM pairs WHERE verdict IN ('swallowed', 'partial', 'stalled')
    UNION ALL
    SELECT host, verdict, rule, failure, cause, route, server, client, credential, started, 0 AS certain FROM candidates
), grouped AS (
    SELECT host, verdict, rule, failure, route, server, min(cause) AS cause, count(DISTINCT cause) AS causes,
        sum(certain) AS pairs, sum(1 - certain) AS candidates, min(started) AS first, max(started) AS last,
        count(DISTINCT regexp_replace(client, ':[0-9]+$', '')) AS clients, count(DISTINCT credential) AS credentials
    FROM belonging GROUP BY host, verdict, rule, failure, route, server
), well AS (
    SELECT host, route, started, upstreams FROM pairs WHERE verdict = 'healthy'
)
SELECT grouped.host, verdict, rule, failure, grouped.route, server, min(cause) AS cause, min(causes) AS causes, min(pairs) AS pairs,
    min(candidates) AS candidates, first, last, min(well.started) AS recovered, min(clients) AS clients, min(credentials) AS credentials
FROM grouped LEFT JOIN well
    ON well.host = grouped.host AND well.route = grouped.route AND well.started > last
    AND (server IS NULL OR array_contains(well.upstreams, server))
GROUP BY grouped.host, verdict, rule, failure, grouped.route, server, first, last
ORDER BY first, grouped.host, grouped.route, server, verdict, rule, failure;

-- One upstream's failure across hosts: where it began, where it came last, and when the last host was well again.
CREATE VIEW spread AS
SELECT server, failure, count(DISTINCT host) AS hosts, sum(pairs) AS pairs, min(first) AS onset, min_by(host, first || host) AS onset_host,
    max(first) AS last_onset, max_by(host, first || host) AS last_onset_host, max(last) AS last,
    CASE WHEN count(recovered) = count(*) THEN max(recovered) END AS recovered
FROM findings
GROUP BY server, failure
ORDER BY onset, server, failure;
