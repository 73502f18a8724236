-- The records of one replay for each host (HOST.ndjson, in this folder) as the tables that tables.sql asks for: docs/archives.md.
CREATE VIEW records AS
SELECT parse_filename(filename, true) AS host, *
FROM read_ndjson('*.ndjson', filename = true, columns = {
    record: 'VARCHAR', pair: 'BIGINT', verdict: 'VARCHAR', rule: 'VARCHAR', failure: 'VARCHAR', cause: 'JSON', server: 'VARCHAR', route: 'VARCHAR',
    downstream: 'STRUCT(client VARCHAR, start VARCHAR, token VARCHAR, http STRUCT(path VARCHAR))', upstream: 'STRUCT(server VARCHAR)[]',
    candidates: 'BIGINT[]'});

CREATE VIEW pairs AS
SELECT host, pair, downstream.client AS client, downstream.start AS started, downstream.http.path AS route, downstream.token AS credential,
    verdict, rule, failure, cause ->> '$.kind' AS cause, server, [leg.server FOR leg IN upstream] AS upstreams
FROM records WHERE record = 'pair';

CREATE VIEW candidates AS
SELECT host, client, started, credential, pairs.route, named.verdict, named.rule, named.failure, named.cause, named.server
FROM (SELECT host, verdict, rule, failure, cause ->> '$' AS cause, server, unnest(candidates) AS pair FROM records WHERE record = 'finding') AS named
JOIN pairs USING (host, pair);
