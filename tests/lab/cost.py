"""What `gatewitness live --tls` costs a real LiteLLM whose upstream speaks HTTPS. Needs root.

    cost.py GATEWITNESS ENVIRONMENTS [--version 1.84.0] [--rounds 10] [--slices 40] [--requests 20] [--together 2]

ENVIRONMENTS is where tests/lab/run makes its own (target/lab). Two gateways of one release run side by side, of which one is watched; slices of
requests (tools/list with a good token) go to one and the other by turns, so close together that a machine's moods meet both alike. With each
round the other one is watched. Told are requests a second, CPU time of the gateway for a request, and the ratio watched to unwatched: of each
two rounds (which cancels what tells the two gateways apart), their median and range, and of all time taken together.
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
    a.add_argument("--rounds", type=int, default=10)
    a.add_argument("--slices", type=int, default=40)
    a.add_argument("--requests", type=int, default=20)
    a.add_argument("--together", type=int, default=2)
    a = a.parse_args()
    a.rounds = max(4, a.rounds // 2 * 2)
    python = {name: os.path.join(a.environments, name, "bin", "python") for name in ("peers-1", "peers-2", f"litellm-{a.version}")}
    with tempfile.TemporaryDirectory() as folder:
        upstream = lab.Upstream({1: python["peers-1"], 2: python["peers-2"]}, folder, False)
        for name in ("a", "b"):
            os.mkdir(os.path.join(folder, name))
        safe = [s for s in upstream.servers if s["name"] == "safe"]
        gateways = [Gateway(python[f"litellm-{a.version}"], a.version, safe, os.path.join(folder, name), upstream.cert) for name in ("a", "b")]
        for gateway in gateways:
            gateway.wait(upstream, upstream.seen() + 1)
            measure(gateway, 50, a.together)
        rounds, calls = [], 0
        for n in range(a.rounds):
            live = start(a.gatewitness, gateways[n % 2].child.process.pid)
            for gateway in gateways:
                measure(gateway, 5, a.together)
            spent = {True: [0, 0], False: [0, 0]}
            for turn in range(a.slices * 2):
                which = (turn + turn // 2) % 2
                wall, worked = measure(gateways[which], a.requests, a.together)
                of = spent[which == n % 2]
                of[0] += wall
                of[1] += worked
            calls += end(live)
            rounds.append(spent)
            each = a.slices * a.requests
            print(f"  {n + 1}: " + ", ".join(f"{'watched' if w else 'not'} {each / spent[w][0]:.2f}/s {spent[w][1] / each * 1000:.2f} ms" for w in (False, True)),
                  flush=True)
        pairs = list(zip(rounds[::2], rounds[1::2]))
        for what, at, turned in (("requests a second", 0, True), ("CPU time of the gateway for a request", 1, False)):
            ratios = [statistics.geometric_mean(r[True][at] / r[False][at] for r in pair) for pair in pairs]
            whole = sum(r[True][at] for r in rounds) / sum(r[False][at] for r in rounds)
            tell(what, [1 / r for r in ratios] if turned else ratios, 1 / whole if turned else whole)
        print(f"{calls / len(rounds) / (each + 5):.1f} TLS calls a request; load {os.getloadavg()[0]:.1f}")
    stop_all()


def tell(what, ratios, whole):
    print(f"{what}: ratio {statistics.median(ratios):.4f} ({min(ratios):.4f} to {max(ratios):.4f}, error of the mean "
          f"{statistics.stdev(ratios) / len(ratios) ** 0.5:.4f}), of all together {whole:.4f}")


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


def measure(gateway, requests, together):
    """Seconds that some requests take, and CPU seconds of the gateway."""
    pid = gateway.child.process.pid
    begun, used = time.monotonic(), cpu(pid)
    threads = [threading.Thread(target=ask, args=(gateway.address, requests // together)) for _ in range(together)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - begun, cpu(pid) - used


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
