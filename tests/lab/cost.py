"""What `gatewitness live --tls` costs a real LiteLLM whose upstream speaks HTTPS: with and without it, by turns. Needs root.

    cost.py GATEWITNESS ENVIRONMENTS [--version 1.84.0] [--rounds 9] [--requests 60] [--together 4]

ENVIRONMENTS is where tests/lab/run makes its own (target/lab). A request is a tools/list with a good token. Told are requests a second, CPU
time of the gateway for a request, and the ratio of each pair of neighbours: median, and the range of the inner half.
"""
import argparse, http.client, json, os, signal, statistics, subprocess, sys, tempfile, threading, time

import lab, tokens
from gateway import KEY, Gateway
from processes import stop_all


def main():
    a = argparse.ArgumentParser()
    a.add_argument("gatewitness")
    a.add_argument("environments")
    a.add_argument("--version", default="1.84.0")
    a.add_argument("--rounds", type=int, default=9)
    a.add_argument("--requests", type=int, default=60)
    a.add_argument("--together", type=int, default=4)
    a = a.parse_args()
    python = {name: os.path.join(a.environments, name, "bin", "python") for name in ("peers-1", "peers-2", f"litellm-{a.version}")}
    with tempfile.TemporaryDirectory() as folder:
        upstream = lab.Upstream({1: python["peers-1"], 2: python["peers-2"]}, folder, False)
        safe = [s for s in upstream.servers if s["name"] == "safe"]
        gateway = Gateway(python[f"litellm-{a.version}"], a.version, safe, folder, upstream.cert)
        gateway.wait(upstream, upstream.seen() + 1)
        pid = gateway.child.process.pid
        measure(gateway, pid, 10, a.together)
        turns, calls = [], 0
        for n in range(a.rounds):
            pair = {}
            for watched in (False, True) if n % 2 else (True, False):
                live = start(a.gatewitness, pid) if watched else None
                measure(gateway, pid, 5, a.together)
                pair[watched] = measure(gateway, pid, a.requests, a.together)
                calls += end(live) if live else 0
            turns.append(pair)
            print(f"  {n + 1}: " + ", ".join(f"{'with' if w else 'without'} {pair[w][0]:.2f}/s {pair[w][1] * 1000:.1f} ms" for w in (False, True)), flush=True)
        tell("requests a second", [pair[True][0] / pair[False][0] for pair in turns], [pair[False][0] for pair in turns])
        tell("CPU time of the gateway for a request", [pair[True][1] / pair[False][1] for pair in turns], [pair[False][1] for pair in turns])
        print(f"{calls / (a.rounds * (a.requests + 5)):.1f} TLS calls a request; load {os.getloadavg()[0]:.1f}")
    stop_all()


def tell(what, ratios, bases):
    low, _, high = statistics.quantiles(ratios, n=4)
    print(f"{what}: ratio {statistics.median(ratios):.3f} (inner half {low:.3f} to {high:.3f}, all {min(ratios):.3f} to {max(ratios):.3f}), "
          f"without {statistics.median(bases):.4g}")


def start(gatewitness, pid):
    live = subprocess.Popen([gatewitness, "live", "-i", "lo", "--tls-pid", str(pid), "--format", "ndjson"], stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True)
    for line in live.stderr:
        if "watching" in line:
            return live
    raise SystemExit("it does not watch")


def end(live):
    live.send_signal(signal.SIGINT)
    said = live.stderr.read()
    live.wait()
    return int(said.split(" TLS calls read")[0].split()[-1])


def measure(gateway, pid, requests, together):
    """Requests a second, and CPU seconds of the gateway for each."""
    begun, used = time.monotonic(), cpu(pid)
    threads = [threading.Thread(target=ask, args=(gateway.address, requests // together)) for _ in range(together)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = requests // together * together
    return (done / (time.monotonic() - begun), (cpu(pid) - used) / done) if done else (0, 0)


def ask(address, requests):
    connection = http.client.HTTPConnection(address)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    headers = {"Authorization": f"Bearer {tokens.make('cost')}", "x-litellm-api-key": f"Bearer {KEY}", "Content-Type": "application/json",
               "Accept": "application/json, text/event-stream"}
    for _ in range(requests):
        connection.request("POST", "/mcp/safe", body, headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200 or b"open_safe" not in said:
            raise SystemExit(f"{answer.status} {said[:300]}")
    connection.close()


def cpu(pid):
    with open(f"/proc/{pid}/stat") as f:
        user, system = f.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
