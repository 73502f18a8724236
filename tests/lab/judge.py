"""Runs gatewitness over the recordings and prints how well it saw, and whether the release did what is on record for it."""
import json, os, subprocess, sys

SCORE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "score.py")
KNOWN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "known.json")


def table(gatewitness, folder, scenarios, version, live=False):
    """True when every bound holds and a known release behaved as known."""
    with open(KNOWN) as f:
        known = json.load(f).get(version, {})
    good, judged = True, 0
    print(f"{'scenario':17} {'requests':>8} {'verdict':>8} {'flags':>13} {'pairs':>6} {'open':>5}  what happened (truth)")
    for scenario in scenarios:
        path = os.path.join(folder, scenario.name + ".truth.json")
        if not os.path.exists(path):
            continue
        judged += 1
        with open(path) as f:
            counts = {k: v for k, v in json.load(f)["verdict_counts"].items() if k != "background"}
        score, misses = judge(gatewitness, folder, scenario.name, live)
        wrong = [f"{k} {score[k]} < {bound}" for k, bound in scenario.bounds.items() if score[k] < bound]
        wrong += [f"{score[k]} {k}" for k in ("missing", "false_healthy") if score[k]]
        either = counts.get("empty_no_upstream", 0)  # a refused connection may be called swallowed or unexplained
        if not score["findings_at_least"] - either <= score["flagged_true"] <= score["findings_at_most"]:
            wrong.append(f"{score['flagged_true']} were to be flagged, the findings say {score['findings_at_least']} to {score['findings_at_most']}")
        want = known.get(scenario.name)
        if want is not None and any(counts.get(k, 0) != v for k, v in want.items()) | (set(counts) != set(want)):
            wrong.append(f"not what is on record for {version}: {told(want)}")
        good &= not wrong
        print(f"{scenario.name:17} {score['judged']:8} {score['verdict_accuracy']:8.3f} {score['flag_precision']:6.3f}/{score['flag_recall']:.3f}"
              f" {score['pair_f1']:6.3f} {score['unresolved']:5}  {told(counts)}")
        for line in wrong:
            print(f"  MISSED: {line}")
        if wrong:
            print("".join(f"  {line.strip()}\n" for line in misses.splitlines()), end="")
    if not judged:
        print("nothing was recorded")
    print("every bound holds" if good and judged else "NOT GOOD", flush=True)
    return good and judged > 0


def judge(gatewitness, folder, name, live=False):
    """The score of one recording, and the list of wrong verdicts."""
    base = os.path.join(folder, name)
    if live:
        return score(base, base + ".live.ndjson")
    keys = ["--keylog", base + ".keys"] if os.path.exists(base + ".keys") else []
    with open(base + ".ndjson", "wb") as out:
        ran = subprocess.run([gatewitness, "replay", base + ".pcap", "--format", "ndjson", *keys], stdout=out, stderr=subprocess.PIPE)
    if ran.returncode not in (0, 1):
        raise SystemExit(f"lab: gatewitness failed on {base}.pcap with {ran.returncode}:\n{ran.stderr.decode()[-2000:]}")
    return score(base, base + ".ndjson")


def score(base, records):
    """Holds records against the truth."""
    scored = subprocess.run([sys.executable, SCORE, base + ".truth.json", records, "--json", "--misses", "20"], capture_output=True, text=True)
    if scored.returncode == 2:
        raise SystemExit(f"lab: {scored.stderr}")
    return json.loads(scored.stdout), scored.stderr


def told(counts):
    return ", ".join(f"{k} {v}" for k, v in sorted(counts.items())) or "nothing to judge"
