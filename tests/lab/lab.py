"""Records every scenario on a real gateway, then holds gatewitness against what happened.  See docs/lab.md; started by tests/lab/run."""
import argparse, json, os, shutil, signal, subprocess, sys, time

import judge, scenarios, truth
from capture import Capture
from gateway import KEY, Gateway, version_of
from processes import Child, free_ports, hold_port, stop_all, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
SERVERS = [("weather", "127.0.0.11", "sse"), ("docs", "127.0.0.12", "sse"), ("tickets", "127.0.0.13", "json"), ("vault", "127.0.0.14", "gzip"),
           ("safe", "127.0.0.15", "sse"), ("modern", "127.0.0.16", "json"), ("ghost", "127.0.0.17", None)]


class Upstream:
    """The upstream processes (one for each generation of the SDK) and their log."""

    def __init__(self, peers, folder, modern):
        self.folder, self.children, self.logs, self.servers, self.held = folder, [], [], [], hold_port("127.0.0.17")
        self.cert, key = certificate(folder, "127.0.0.15")
        wanted = [s for s in SERVERS if s[2] and (modern or s[0] != "modern")]
        for (name, host, mode), port in zip(wanted, free_ports([s[1] for s in wanted])):
            self.servers.append({"name": name, "host": host, "port": port, "mode": mode, **({"cert": self.cert, "key": key} if name == "safe" else {})})
        for sdk, own in ((1, [s for s in self.servers if s["name"] != "modern"]), (2, [s for s in self.servers if s["name"] == "modern"])):
            if own:
                self._start(peers[sdk], sdk, own)
        self.servers.append({"name": "ghost", "host": "127.0.0.17", "port": self.held.getsockname()[1], "mode": "nobody listens"})

    def _start(self, python, sdk, servers):
        log, plan = (os.path.join(self.folder, f"upstream-{sdk}.{end}") for end in ("jsonl", "json"))
        with open(plan, "w") as f:
            json.dump(servers, f)
        child = Child([python, os.path.join(HERE, "upstream.py"), log, plan], os.path.join(self.folder, f"upstream-{sdk}.log"))
        self.children.append(child)
        self.logs.append(log)
        for s in servers:
            wait_for(f"the upstream {s['name']}", lambda: connects(s["host"], s["port"]), child, 30)

    def requests(self):
        """One entry a request, in its last known state."""
        last = {}
        for log in self.logs:
            for entry in lines(log):
                last[log, entry["n"]] = entry
        return list(last.values())

    def seen(self):
        return len(self.requests())

    def settle(self, since, patience):
        """Waits until nothing that began since then is open any more."""
        end = time.monotonic() + patience
        while any(u["t_end"] is None and u["t_request"] >= since for u in self.requests()) and time.monotonic() < end:
            time.sleep(0.1)

    def truth(self):
        return {"software": "mcp SDK FastMCP", "version": "1.26.0 (modern: 2.3.0)", "servers": {s["name"]: f"{s['host']}:{s['port']} ({s['mode']}{', TLS' if s.get('cert') else ''})" for s in self.servers}}


class Lab:
    def __init__(self, a):
        self.a, self.folder, self.next_id, self.facts = a, os.path.abspath(a.keep), 1, []
        os.makedirs(self.folder, exist_ok=True)
        self.work = os.path.join(self.folder, "work")
        shutil.rmtree(self.work, ignore_errors=True)
        os.makedirs(self.work)
        self.modern = version_of(a.gateway_python, "mcp") >= (2,)
        self.peers = {1: a.peers, 2: a.peers_modern}

    def record(self, wanted):
        self.upstream = Upstream(self.peers, self.work, self.modern)
        for kind in ("plain", "workers"):
            own = [s for s in wanted if s.gateway == kind and (s.needs != "modern" or self.modern)]
            if own:
                self.with_gateway(kind, own)

    def with_gateway(self, kind, wanted):
        workers = 4 if kind == "workers" else 1
        gateway = Gateway(self.a.gateway_python, self.a.version, self.upstream.servers, self.work, self.upstream.cert, workers, self.modern)
        ports = {int(gateway.address.rpartition(":")[2]), *(s["port"] for s in self.upstream.servers)}
        capture = Capture(self.path(wanted[0], "pcap"), ports) if workers > 1 else None  # its start-up is part of the scenario
        seen = self.upstream.seen()
        gateway.wait(self.upstream, seen + workers * (len(self.upstream.servers) - 1))  # all but the one where nobody listens
        told(f"LiteLLM {self.a.version} with {workers} worker{'s' * (workers > 1)} up in {gateway.startup:.0f} s")
        started = time.monotonic()
        for scenario in wanted:
            capture = capture or Capture(self.path(scenario, "pcap"), ports)
            self.scenario(scenario, gateway, capture)
            capture = None
        self.facts.append(f"{workers} worker{'s' * (workers > 1)}: start-up {gateway.startup:.0f} s, scenarios {time.monotonic() - started:.0f} s, gateway peak memory {gateway.child.peak_memory():.0f} MiB")
        gateway.child.stop()

    def scenario(self, scenario, gateway, capture):
        told(f"{scenario.name}: {scenario.about}")
        plan, log = (os.path.join(self.work, scenario.name + end) for end in (".plan.json", ".clients.jsonl"))
        with open(plan, "w") as f:
            json.dump({"base": f"http://{gateway.address}", "gateway_key": KEY, "together": scenario.together, "clients": scenario.clients, "first_id": self.next_id, "sdk": scenario.sdk}, f)
        self.next_id += 1000
        live = self.attach(scenario) if self.a.live else None
        child = Child([self.peers[scenario.sdk], os.path.join(HERE, "clients.py"), plan, log], os.path.join(self.work, scenario.name + ".clients.log"))
        try:
            child.process.wait(180)
        except subprocess.TimeoutExpired:
            raise SystemExit(f"lab: the clients of {scenario.name} did not end")
        if child.process.returncode:
            raise SystemExit(f"lab: the clients of {scenario.name} failed:\n{child.told()[-3000:]}")
        child.stop()
        self.upstream.settle(capture.t_start, 1 if scenario.name in ("hang", "calls") else 5)
        captured = capture.stop()
        if live:
            live.stop(signal.SIGINT, 20)
        clients = lines(log)
        for c in clients:
            c["token_rid"], c["token"] = c["token"], c["token"]
        happened = truth.join(clients, self.upstream.requests(), captured["t_start"], captured["t_stop"])
        for c in clients:
            c["token"] = scenarios.STORIES.get(c["token_rid"])
        mcp = ".".join(map(str, version_of(self.a.gateway_python, "mcp")))
        record = {"name": scenario.name, "description": f"LiteLLM {self.a.version}: {scenario.about}.",
                  "gateway": {"software": "LiteLLM proxy", "version": self.a.version, "mcp_sdk": mcp, "listen": gateway.address, "workers": gateway.workers},
                  "upstream": self.upstream.truth(), "capture": captured, **happened}
        with open(self.path(scenario, "truth.json"), "w") as f:
            json.dump(record, f, indent=1)
        if os.path.exists(gateway.keylog):  # a route that asks every server asks the encrypted one too
            shutil.copy(gateway.keylog, self.path(scenario, "keys"))

    def attach(self, scenario):
        """gatewitness beside the gateway while it works, reading plaintext at OpenSSL's calls: nobody told it whom to watch, and it has no keys."""
        words = [self.a.gatewitness, "live", "--tls", "-i", "lo", "--format", "ndjson", "-o", self.path(scenario, "live.ndjson")]
        child = Child(words, os.path.join(self.work, scenario.name + ".live.log"))
        wait_for("gatewitness", lambda: "watching" in child.told(), child, 60)
        return child

    def path(self, scenario, ending):
        return os.path.join(self.folder, f"{scenario.name}.{ending}")


def certificate(folder, host):
    """A self-signed certificate for one address, that the gateway is told to trust."""
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/CN=gatewitness lab",
                    "-addext", f"subjectAltName=IP:{host}", "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def connects(host, port):
    import socket
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


def lines(path):
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return [json.loads(line) for line in f if line.endswith("\n")]


def told(text):
    print(f"\033[1m==> {text}\033[0m", file=sys.stderr, flush=True)


def main():
    p = argparse.ArgumentParser(prog="tests/lab/run")
    p.add_argument("--version", required=True)
    p.add_argument("--gateway-python", required=True)
    p.add_argument("--peers", required=True)
    p.add_argument("--peers-modern", required=True)
    p.add_argument("--gatewitness", required=True)
    p.add_argument("--keep", required=True)
    p.add_argument("--only", action="append", default=[])
    p.add_argument("--quick", action="store_true")
    p.add_argument("--steady", action="store_true")
    p.add_argument("--live", action="store_true", help="judge what `gatewitness live --tls` says while it happens, instead of the recording")
    p.add_argument("--judge", action="store_true", help="record nothing: judge what is kept")
    a = p.parse_args()
    quick, steady = a.quick or a.steady, a.steady
    wanted = [s for s in scenarios.every() if (s.name in a.only if a.only else (s.quick or not quick) and not (steady and s.together))]
    unknown = set(a.only) - {s.name for s in scenarios.every()}
    if unknown:
        raise SystemExit(f"lab: no scenario {', '.join(sorted(unknown))}; there are: {', '.join(s.name for s in scenarios.every())}")
    lab, begun = Lab(a) if not a.judge else None, time.monotonic()
    if lab:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            lab.record(wanted)
        finally:
            stop_all()
    good = judge.table(a.gatewitness, os.path.abspath(a.keep), wanted, a.version, a.live)
    for fact in lab.facts if lab else ():
        print(fact)
    print(f"whole run {time.monotonic() - begun:.0f} s; recordings in {a.keep}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
