#!/usr/bin/env python3
"""Holds the tables of docs/archive against one `gatewitness replay` for each host.

    tests/archive/check.py GATEWITNESS FOLDER MASTER FILES [option of job.py...]

FOLDER gets an archive of 5 hosts with FILES each. MASTER is Spark's, such as local-cluster[2,1,1024]. Takes pyspark and duckdb.
"""
import csv
import json
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import duckdb

ROOT = Path(__file__).parents[2]
FLAGGED = ("swallowed", "partial", "stalled")


def main(program, folder, master, files, options):
    archive, one, tables = folder / "captures", folder / "one", folder / "tables"
    if not archive.exists():
        run([sys.executable, ROOT / "tests/archive/make.py", archive, 5, files])
    key = folder / "fingerprint.key"
    key.write_bytes(b"one key for all of them")
    one.mkdir(exist_ok=True)
    began = time.monotonic()
    for host in sorted(archive.iterdir()):
        captures = [path for path in host.rglob("*") if path.is_file()]
        line = [program, "replay", *captures, "--format", "ndjson", "-o", one / f"{host.name}.ndjson", "--fingerprint-key", key]
        assert subprocess.run(line, stderr=subprocess.DEVNULL).returncode in (0, 1)
    middle = time.monotonic()
    submit = [sys.executable, ROOT / "docs/archive/job.py", "--archive", archive, "--out", tables, "--fingerprint-key", key, "--gatewitness", program]
    said = run([*submit, *options], PYSPARK_SUBMIT_ARGS=f"--master {master} --conf spark.ui.enabled=false --conf spark.sql.shuffle.partitions=2 pyspark-shell").splitlines()[-1]
    print(said, f"(replay alone {middle - began:.1f} s, the job {time.monotonic() - middle:.1f} s)")

    # The job's own check. The side that does not keep a pair saw less of it: of a hundred, a few may differ.
    twice, differ = (int(re.search(pattern, said)[1]) for pattern in (r"of (\d+) pairs judged on both", r"(\d+) differ,"))
    assert twice > 100 and 50 * differ <= twice, said

    # Pair for pair. Numbers and confidences belong to a run; what a pair holds and what is said of it do not. A cause may hang on what was
    # seen of a credential before the part's margin, and is held apart.
    whole, parted, causes = *map(without_cause, (expected(one), actual(tables))), (actual(tables) - expected(one)).total()
    wrong = [f"{a} {b}" for a, b in differing(whole, parted)]
    assert not wrong, f"{len(wrong)} pairs of {sum(whole.values())} differ:\n" + "\n".join(wrong[:5])
    assert causes < sum(whole.values()) / 50, f"{causes} causes differ"
    print(f"{sum(whole.values())} pairs as on one machine, {causes} of them with another cause")
    kinds = Counter(pair[5] for pair in whole.elements())
    assert sum(whole.values()) > 1000 and all(kinds[kind] > 5 for kind in ("healthy", "swallowed", "propagated")), kinds

    # Table for table: the same queries on one machine, and what gatewitness itself finds.
    base = duckdb.connect()
    base.execute(f"SET file_search_path = '{one}'")
    for text in ("one-machine.sql", "tables.sql"):
        base.execute((ROOT / "docs/archive" / text).read_text())
    for name in ("hours", "findings", "spread"):
        with open(next((tables / name).glob("*.csv")), newline="") as file:
            head = next(csv.reader(file))
            file.seek(0)
            head = [word for word in head if not word.startswith("cause")]
            rows = [[row[word] for word in head] for row in csv.DictReader(file)]
        here = base.execute(f"SELECT {', '.join(head)} FROM {name}").fetchall()
        here = [["" if value is None else str(value) for value in row] for row in here]
        assert sorted(rows) == sorted(here) and rows, f"{name}: {[pair for pair in zip(sorted(rows), sorted(here)) if pair[0] != pair[1]][:3]}"
        print(f"{name}: {len(rows)} rows, as on one machine")
    told = base.execute("SELECT host, verdict, rule, failure, route, server, pairs, candidates, first, last, clients, credentials, recovered "
                        "FROM findings WHERE causes < 2").fetchall()
    own = {row[:-1]: row[-1] for row in findings(one)}
    strange = [row for row in told if row[:-1] not in own]
    assert len(told) > 20 and not strange, f"not what gatewitness finds: {strange[:3]}"
    # A run knows of a recovery what was judged by then: a healthy pair that was over before the failed one does not count there.
    early = [row for row in told if own[row[:-1]] and not (row[-1] and row[-1] <= own[row[:-1]])]
    assert not early, f"recovered later than gatewitness says: {early[:3]}"
    return said


def run(line, **env):
    import os
    done = subprocess.run(list(map(str, line)), env={**os.environ, **env}, capture_output=True, text=True)
    assert done.returncode == 0, f"{line}: {done.stderr[-3000:]}"
    return done.stdout


def records(one):
    for path in sorted(one.glob("*.ndjson")):
        for line in path.read_text().splitlines():
            yield path.stem, json.loads(line)


def expected(one):
    pairs = Counter()
    for host, record in records(one):
        if record["record"] == "pair":
            down = record["downstream"]
            cause = record["cause"] and record["cause"]["kind"]
            exchanges = tuple(sorted(f"{leg['client']} {leg['start']}" for leg in record["upstream"]))
            number = down["mcp"]["id"]
            pairs[(host, down["start"], down["client"], None if number is None else str(number), down["http"]["path"], record["verdict"], record["rule"],
                   record["failure"], cause, record["server"], down["token"], record["unresolved_because"], down["end"], exchanges)] += 1
    return pairs


def actual(tables):
    rows = duckdb.execute(f"SELECT host, started, client, id, route, verdict, rule, failure, cause, server, credential, unresolved_because, ended, exchanges "
                          f"FROM read_parquet('{tables}/pairs/*/*.parquet', hive_partitioning = true)").fetchall()
    return Counter((*row[:-1], tuple(row[-1])) for row in rows)


def without_cause(pairs):
    told = Counter()
    for pair, number in pairs.items():
        told[pair[:8] + pair[9:]] += number
    return told


def differing(whole, parted):
    left, right = sorted((whole - parted).elements(), key=str), sorted((parted - whole).elements(), key=str)
    size = max(len(left), len(right))
    return zip(left + [None] * (size - len(left)), right + [None] * (size - len(right)))


def findings(one):
    for host, record in records(one):
        if record["record"] == "finding":
            yield (host, *(record[key] for key in ("verdict", "rule", "failure", "route", "server", "count")), len(record["candidates"]),
                   *(record[key] for key in ("first", "last", "clients", "tokens", "recovered")))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), sys.argv[3], int(sys.argv[4]), sys.argv[5:])
