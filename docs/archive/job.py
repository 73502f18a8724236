"""Replays an archive of captures on a Spark cluster, and makes tables of what was found: docs/archives.md.

    spark-submit docs/archive/job.py --archive /captures --out /tables --fingerprint-key /captures/fingerprint.key

One folder of the archive is one host. Its files are cut into parts by time, at the beginning of a file. A part reads a margin of what lies
before and after it, and keeps the pairs whose client request began within its own time: each pair is kept exactly once.
"""
import argparse
import calendar
import json
import os
import subprocess
import tempfile
import time
from collections import namedtuple
from pathlib import Path

# Of one host: the time that it owns (nanoseconds, open where None), and all files of the host with the times that they span.
Part = namedtuple("Part", "host number begin end files")
File = namedtuple("File", "path first end size")
Options = namedtuple("Options", "program key before after most words")

HEAD = 1 << 20      # bytes in which a file's first packet is looked for
TABLES = ("hours", "findings", "spread")

SCHEMA = """
host STRING, part INT, own BOOLEAN, seam STRING,
pair STRUCT<pair: BIGINT, verdict: STRING, rule: STRING, failure: STRING, gateway: STRING, server: STRING, unresolved_because: STRING,
    cause: STRUCT<kind: STRING>,
    downstream: STRUCT<client: STRING, start: STRING, `end`: STRING, token: STRING, http: STRUCT<path: STRING, status: INT>,
        mcp: STRUCT<method: STRING, id: STRING, name: STRING>>,
    upstream: ARRAY<STRUCT<client: STRING, server: STRING, start: STRING>>>,
finding STRUCT<verdict: STRING, rule: STRING, failure: STRING, cause: STRING, route: STRING, server: STRING, candidates: ARRAY<BIGINT>>,
capture STRUCT<kind: STRING, place: STRING, detail: STRING, at: STRING>
"""

PAIRS = """
CREATE OR REPLACE TEMP VIEW {name} AS
SELECT host, part, seam, pair.pair AS pair, pair.downstream.client AS client, pair.gateway AS gateway, pair.downstream.start AS started,
    pair.downstream.`end` AS ended, pair.downstream.mcp.method AS method, pair.downstream.mcp.id AS id, pair.downstream.mcp.name AS name,
    pair.downstream.http.path AS route, pair.downstream.http.status AS status, pair.downstream.token AS credential,
    pair.verdict AS verdict, pair.rule AS rule, pair.failure AS failure, pair.cause.kind AS cause, pair.server AS server,
    pair.unresolved_because AS unresolved_because, transform(pair.upstream, leg -> leg.server) AS upstreams,
    array_sort(transform(pair.upstream, leg -> concat(leg.client, ' ', leg.start))) AS exchanges
FROM records WHERE pair IS NOT NULL AND {which}
"""

CANDIDATES = """
CREATE OR REPLACE TEMP VIEW candidates AS
SELECT pairs.host, pairs.client, pairs.started, pairs.credential, pairs.route, finding.verdict AS verdict, finding.rule AS rule,
    finding.failure AS failure, finding.cause AS cause, finding.server AS server
FROM (SELECT host, part, finding, explode(finding.candidates) AS pair FROM records WHERE finding IS NOT NULL) AS named
JOIN pairs ON pairs.host = named.host AND pairs.part = named.part AND pairs.pair = named.pair
"""

# What both sides of a cut judged: enough was read on either side where they agree. What the other side saw cut is this side's for that reason.
SEAMS = """
SELECT host, other.seam AS seam, count(*) AS judged_twice,
    count_if(NOT (kept.verdict = other.verdict AND kept.rule = other.rule AND kept.failure <=> other.failure AND kept.server <=> other.server
        AND kept.exchanges = other.exchanges)) AS differ,
    count_if(NOT kept.cause <=> other.cause) AS differ_in_cause
FROM (SELECT * FROM pairs) AS kept
JOIN (SELECT * FROM beyond) AS other USING (host, client, gateway, started)
WHERE kept.id <=> other.id AND NOT other.unresolved_because <=> 'cut'
GROUP BY host, other.seam ORDER BY host, other.seam
"""


def main():
    from pyspark.sql import SparkSession

    words = arguments()
    spark = SparkSession.builder.appName("gatewitness archive").getOrCreate()
    options = Options(words.gatewitness, words.fingerprint_key, *(int(s * 1e9) for s in (words.before, words.after, words.most)), tuple(words.replay))
    archive, out = Path(words.archive).resolve(), Path(words.out).resolve()
    found = [(host.name, str(path)) for host in sorted(archive.iterdir()) if host.is_dir() for path in files_in(host)]
    # Slices: one file each is too little work for a task.
    spread = spark.sparkContext.parallelize(found, max(1, min(len(found), 16 * spark.sparkContext.defaultParallelism)))
    surveyed = spread.map(lambda one: (*one, survey(options, one[1]))).collect()
    parts = cut(surveyed, words.part_size)
    if not parts:
        raise SystemExit(f"{archive}: no capture in any of its folders (one folder is one host)")
    for host, path, (_, why) in surveyed:
        if why:
            print(f"passed over: {host}: {path}: {why}")
    lines = spark.sparkContext.parallelize(parts, len(parts)).flatMap(lambda part: replay(options, part))
    spark.read.schema(SCHEMA).json(lines).write.mode("overwrite").parquet(str(out / "records"))
    spark.read.parquet(str(out / "records")).createOrReplaceTempView("records")
    spark.sql(PAIRS.format(name="pairs", which="own"))
    spark.sql(PAIRS.format(name="beyond", which="NOT own"))
    spark.catalog.cacheTable("pairs")
    spark.sql(CANDIDATES)
    for name, query in zip(TABLES, queries()):
        spark.sql(query).createOrReplaceTempView(name)
        spark.catalog.cacheTable(name)
        spark.table(name).coalesce(1).write.mode("overwrite").option("header", True).csv(str(out / name))
    spark.table("pairs").drop("part", "pair", "seam").repartition("host").write.mode("overwrite").partitionBy("host").parquet(str(out / "pairs"))
    losses = "SELECT host, capture.* , count(*) AS parts FROM records WHERE capture IS NOT NULL GROUP BY ALL ORDER BY host, at, kind, place"
    spark.sql(losses).coalesce(1).write.mode("overwrite").option("header", True).csv(str(out / "losses"))
    seams = spark.sql(SEAMS).cache()
    seams.coalesce(1).write.mode("overwrite").option("header", True).csv(str(out / "seams"))
    twice, differ, causes = seams.selectExpr(*(f"coalesce(sum({name}), 0)" for name in ("judged_twice", "differ", "differ_in_cause"))).first()
    pairs, findings = spark.table("pairs").count(), spark.table("findings").count()
    print(f"{len(found)} files of {len({part.host for part in parts})} hosts in {len(parts)} parts: {pairs} pairs, {findings} findings; "
          f"of {twice} pairs judged on both sides of a cut, {differ} differ, {causes} in their cause")
    spark.stop()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--archive", required=True, help="a folder that every worker sees, with one folder of captures for each host")
    add("--out", required=True, help="where the tables go; what is there of them is replaced")
    add("--fingerprint-key", required=True, help="a file that every worker sees: credentials compare across parts and hosts")
    add("--gatewitness", default="gatewitness", help="the program, as the workers find it")
    add("--part-size", type=float, default=2e9, help="bytes of captures that one part owns [default: 2e9]")
    add("--before", type=float, default=300, help="seconds that a part reads before its own time [default: 300]")
    add("--after", type=float, default=150, help="seconds that it reads after it; more than --stall-after [default: 150]")
    add("--most", type=float, default=3600, help="seconds that either may grow to where a pair would be cut [default: 3600]")
    add("replay", nargs="*", help="after `--`: options for replay, such as --gateway and --keylog")
    return parser.parse_args()


def files_in(host):
    return sorted(path for path in host.rglob("*") if path.is_file() and not path.name.startswith("."))


def queries():
    """The tables that are made in the same way with DuckDB."""
    text = (Path(__file__).parent / "tables.sql").read_text()
    text = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return [query.split(" AS\n", 1)[1] for query in text.split(";") if query.strip()]


def survey(options, path):
    """When a capture begins (nanoseconds), or why it is passed over. Its first packet is read by the program that will read the rest."""
    with open(path, "rb") as file:
        for size in (HEAD, -1):
            file.seek(0)
            line = [options.program, "replay", "-", "--only", "findings", "--format", "ndjson", "--threads", "1"]
            done = subprocess.run(line, input=file.read(size), capture_output=True)
            if done.returncode == 2:
                return None, done.stderr.decode(errors="replace").strip()
            first = json.loads(done.stdout.splitlines()[-1])["first"]
            if first:
                return nanos(first), None
    return None, "no packet in it"


def cut(surveyed, size):
    """Parts of every host. The files of one folder follow each other: each ends where the next begins."""
    hosts = {}
    for host, path, (first, _) in surveyed:
        if first is not None:
            hosts.setdefault(host, {}).setdefault(os.path.dirname(path), []).append((first, path))
    parts = []
    for host, folders in sorted(hosts.items()):
        files = []
        for rotated in folders.values():
            rotated.sort()
            ends = [first for first, _ in rotated[1:]] + [None]
            files += [File(path, first, end, os.path.getsize(path)) for (first, path), end in zip(rotated, ends)]
        files.sort(key=lambda file: (file.first, file.path))
        begins, taken = [None], 0
        for file in files:
            if taken >= size and file.first != begins[-1]:
                begins.append(file.first)
                taken = 0
            taken += file.size
        parts += [Part(host, number, begin, end, files) for number, (begin, end) in enumerate(zip(begins, begins[1:] + [None]))]
    return parts


def replay(options, part):
    """The records of one part, each in a wrapping that says whose it is."""
    before, after = options.before, options.after
    while True:
        # Packets that were captured side by side may stand in the other file.
        low = part.begin - before - SLACK if part.begin is not None else None
        high = part.end + after + SLACK if part.end is not None else None
        files = [file.path for file in part.files if (high is None or file.first <= high) and (low is None or file.end is None or file.end >= low)]
        all_read = len(files) == len(part.files)
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "records.ndjson")
            line = [options.program, "replay", *files, "--format", "ndjson", "-o", out, "--threads", "1", "--fingerprint-key", options.key]
            done = subprocess.run([*line, *options.words], capture_output=True, text=True)
            if done.returncode not in (0, 1, 3):
                raise RuntimeError(f"{part.host}, part {part.number}: {done.stderr.strip()}")
            if not all_read and max(before, after) < options.most and any(is_cut(record) for record in read(out) if owner(part, record)):
                before, after = min(4 * before, options.most), min(4 * after, options.most)
                continue
            for record in read(out):
                yield from wrapped(options, part, record)
            return


def read(path):
    with open(path) as lines:
        yield from map(json.loads, lines)


def owner(part, record):
    """Whether a pair belongs to this part."""
    if record["record"] != "pair":
        return False
    start = nanos(record["downstream"]["start"])
    return (part.begin is None or start >= part.begin) and (part.end is None or start < part.end)


def is_cut(record):
    """A pair of which more may stand in files that were not read."""
    return record["unresolved_because"] == "cut" or record["verdict"] == "stalled" and record["downstream"]["end"] is None


def wrapped(options, part, record):
    kind = record["record"]
    own = owner(part, record)
    seam = None
    if kind == "pair" and not own:
        # Near a cut, what both sides judged is compared. Far from it this side knows too little by design.
        start = nanos(record["downstream"]["start"])
        near = part.begin if part.begin is not None and start < part.begin else part.end
        if record["downstream"]["end"] is None or not near - options.before // 2 <= start < near + options.after // 2:
            return
        seam = text(near)
    if kind in ("pair", "finding", "capture"):
        yield json.dumps({"host": part.host, "part": part.number, "own": own, "seam": seam, kind: record})


def nanos(stamp):
    """2026-11-22T21:51:45.413000000Z"""
    return calendar.timegm(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(stamp[20:29])


def text(at):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 10**9)) + f".{at % 10**9:09}Z"


SLACK = 10**9

if __name__ == "__main__":
    main()
