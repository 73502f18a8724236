"""One capture: what the program says of it, what the baselines say, and how right they all are."""
import json, os, resource, signal, subprocess, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import baselines, score, traffic

LIMIT = 900   # seconds of wall clock for one run of the program, on a machine that does much else
BINS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.01)


def generate(arguments):
    traffic.Gen(traffic.parse_args(arguments)).run()


def run(program, words, out, most):
    """Runs the program, for at most so many CPU seconds; its exit status (None: out of time), CPU seconds and MiB of memory."""
    with open(out, "wb") as f:
        bound = lambda: resource.setrlimit(resource.RLIMIT_CPU, (most, most + 1))
        child = subprocess.Popen([program, *words], stdout=f, stderr=subprocess.DEVNULL, preexec_fn=bound)
        until, done = time.monotonic() + LIMIT, 0
        while not done:
            done, status, used = os.wait4(child.pid, os.WNOHANG)
            if not done:
                if time.monotonic() > until:
                    child.kill()
                time.sleep(0.01)
        child.returncode = os.waitstatus_to_exitcode(status)
    late = child.returncode in (-signal.SIGXCPU, -signal.SIGKILL)
    return None if late else child.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def lines(path):
    with open(path) as f:
        for line in f:
            try:
                yield json.loads(line)
            except ValueError:
                return   # cut short: out of time


def error(claims):
    """Expected calibration error of (claimed probability, whether it was right), and how many there were."""
    bins = {}
    for claimed, right in claims:
        n = next(i for i, edge in enumerate(BINS) if claimed < edge)
        count, mass, hits = bins.get(n, (0, 0.0, 0))
        bins[n] = (count + 1, mass + claimed, hits + right)
    total = sum(count for count, _, _ in bins.values())
    return sum(abs(mass - hits) for _, mass, hits in bins.values()) / total if total else 0.0


def figures(truth, records, slack):
    """The scorer's figures and those that it does not have."""
    out, rows = score.score(*truth, records, slack)
    given = [(r["confidence"], ok) for q, r, ok, _ in rows if r and q["want"] and "confidence" in r and r["verdict"] != "unresolved"]
    links = [link for _, _, _, row in rows for link in row if link[0] is not None]
    out["verdict_ece"], out["link_ece"] = error(given), error(links)
    out["unresolved_share"] = out["unresolved"] / out["judged"] if out["judged"] else 0.0
    most = out["flagged_true"] + out["flagged_excused"]
    out["bounds_broken"] = int(out["findings_at_least"] > most) + int(out["findings_at_most"] < out["flagged_true"])
    return out


def crowd(path):
    """How many client requests were open at a time, on average."""
    spans = [(float(r["t_start"]), float(r["t_end"])) for r in map(json.loads, open(path))]
    whole = max(e for _, e in spans) - min(s for s, _ in spans)
    return sum(e - s for s, e in spans) / whole if whole else 0.0


def enrich(exchanges, records):
    """Adds what `exchanges` does not tell of an answer (entries, errors) from where the pairs tell it."""
    told = {}
    for pair in records:
        if pair.get("record") == "pair":
            for leg in (pair["downstream"], *pair["upstream"]):
                told.setdefault((leg["client"], leg["server"], leg["start"]), leg.get("mcp") or {})
    for e in exchanges:
        mcp = e.get("mcp")
        if mcp is not None:
            known = told.get((e["client"], e["server"], e["start"]), {})
            for key in ("items", "error", "is_error"):
                if mcp.get(key) is None and known.get(key) is not None:
                    mcp[key] = known[key]


def judge(program, capture, truth_path, slack, listen, keys, scratch, most, with_baselines=True):
    """All figures of one capture: {"gatewitness": {...}, "fifo": {...}, ...}; the simpler tools only where the program ends in time."""
    truth = score.truth(truth_path)
    status, cpu, rss = run(program, ["replay", capture, "--format", "ndjson", *keys], scratch + ".pairs", most)
    records = list(lines(scratch + ".pairs"))
    found = figures(truth, records, slack)
    summary = records[-1] if records and records[-1].get("record") == "summary" else {}
    gateways = {g["listen"] for g in summary.get("gateways", ())}
    found.update(cpu=cpu, rss=rss, timed_out=int(status is None), crashed=int(status not in (None, 0, 1)),
                 gateways_wrong=int(gateways != listen))
    results = {"gatewitness": found}
    if with_baselines and status is not None:
        status, _, _ = run(program, ["exchanges", capture, "--format", "ndjson", *keys], scratch + ".exchanges", most)
        if status is None:
            return results
        exchanges = [e for e in lines(scratch + ".exchanges") if e.get("record") == "exchange"]
        enrich(exchanges, records)
        tokens = baselines.tokens(capture, exchanges)
        down, up = baselines.sides(exchanges, *truth, score.norm, listen)
        asks = sorted((baselines.Ask(e, score.seconds, tokens.get(id(e))) for e in down), key=lambda a: (a.start, a.record["client"]))
        seen = baselines.visits(up, score.seconds, tokens)
        for name in baselines.NAMES:
            baselines.answer(name, asks, seen)
            results[name] = figures(truth, list(baselines.records(asks)), slack)
    return results
