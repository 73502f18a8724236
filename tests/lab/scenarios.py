"""What is provoked, by whom, and how well gatewitness has to see through it."""
import tokens

EXACT = {"verdict_accuracy": 1.0, "pair_f1": 1.0, "flag_precision": 1.0, "flag_recall": 1.0}
CROWD = {"verdict_accuracy": 0.98, "pair_f1": 0.95, "flag_precision": 1.0, "flag_recall": 0.98}
# Where many share a credential and ask the same of the same server, nothing on the wire tells whose upstream request is whose: what is
# said has to be right all the same, the counts have to hold the truth between them (judge.py sees to that), and no more than a fifth may be
# left open as ambiguous.
SHARED = {"verdict_precision": 1.0, "verdict_accuracy": 0.8, "flag_precision": 1.0}


class Scenario:
    def __init__(self, name, about, clients, together=False, bounds=EXACT, needs=None, quick=True, gateway="plain", sdk=1):
        self.together = together
        self.name, self.about, self.clients, self.bounds, self.needs, self.quick = name, about, clients, bounds, needs, quick
        self.gateway, self.sdk = gateway, sdk


def token(sub, behaviour="ok", per_server=None):
    """A token with its story, which the truth file keeps."""
    text = tokens.make(sub, behaviour, per_server)
    STORIES[tokens.fingerprint("Bearer " + text)] = {"sub": sub, "behaviour": behaviour, "per_server": per_server, "sha256_12": tokens.fingerprint("Bearer " + text)}
    return text


def post(path, secret, rpc="tools/list", **more):
    return {"http": "POST", "path": path, "rpc": rpc, "token": secret, **more}


def raw(*requests, **more):
    return {"kind": "raw", "requests": list(requests), **more}


def curl(*requests, **more):
    return {"kind": "curl", "requests": list(requests), **more}


def sdk(path, secret, **more):
    return {"kind": "sdk", "path": path, "token": secret, **more}


def one(behaviour, path="/mcp/weather", **more):
    return post(path, token(f"{behaviour}-of-{path}", behaviour), **more)


def basics(server):
    """One of each, on one server, one after the other."""
    return [raw(*(post(f"/mcp/{server}", token(f"{server}-{b}", b)) for b in ("401", "ok", "empty", "401list")))]


def fan(sub, behaviour="ok", per_server=None, servers="weather,docs,tickets"):
    return raw(post("/mcp/", token(sub, behaviour, per_server), headers={"x-mcp-servers": servers}))


def calls(behaviour):
    """A call, a prompts list and a resources list, each by a client of its own, because a swallowed call may never be answered."""
    return [raw(post("/mcp/weather", token(f"call-{behaviour}-{rpc}", behaviour), rpc, timeout=GIVE_UP, **more)) for rpc, more in (
        ("tools/call", {"params": {"name": "weather-get_forecast", "arguments": {"place": "Oslo"}}}), ("prompts/list", {}), ("resources/list", {}))]


def crowd(size, secret_of, paths=("/mcp/weather", "/mcp/docs", "/mcp/tickets", "/mcp/vault"), spread=0.2):
    """`size` clients within `spread` seconds, half of them rejected, some truly without tools."""
    script = ("401", "ok", "401", "ok", "empty", "401list", "ok", "401")
    return [raw(post(paths[n % len(paths)], secret_of(n, script[n % len(script)])), delay=spread * n / size) for n in range(size)]


class Shared:
    """Two tokens for each behaviour and no more: the credential says nothing about who asked."""

    def __init__(self, name):
        self.name, self.known = name, {}

    def __call__(self, n, behaviour):
        key = f"{self.name}-{behaviour}-{n % 2}"
        if key not in self.known:
            self.known[key] = token(key, behaviour)
        return self.known[key]


def mixed(size):
    """Half of the clients with tokens of their own, half with few."""
    few = Shared("worker")
    return crowd(size, lambda n, behaviour: few(n, behaviour) if n % 3 else token(f"worker-{n}", behaviour))


def every():
    """All scenarios, in the order in which they are recorded: those that leave something hanging come last."""
    return [
        Scenario("rejected", "expired token, by curl and over a kept connection, on both routes", [curl(one("401")), raw(one("401"), post("/docs/mcp", token("other-route", "401")))]),
        Scenario("healthy", "good token, by curl and over a kept connection, on both routes", [curl(one("ok")), raw(one("ok"), post("/docs/mcp", token("other-route-ok")), one("ok", "/mcp/vault"))]),
        Scenario("empty", "a server that truly has no tools: must not be flagged", [curl(one("empty")), raw(one("empty", "/mcp/tickets"))]),
        Scenario("sdk", "sessions of the mcp SDK: good with a call, rejected, without tools", [
            sdk("/mcp/weather", token("sdk-ok"), call=True), sdk("/mcp/weather", token("sdk-401", "401")), sdk("/mcp/docs", token("sdk-empty", "empty"))]),
        Scenario("rejected-at-list", "initialize is answered, tools/list is refused", [raw(one("401list"), one("401list", "/mcp/tickets"))]),
        Scenario("forbidden", "403", [raw(one("403"))]),
        Scenario("broken", "500", [raw(one("500"))]),
        Scenario("refused", "nobody listens at the upstream's address", [raw(one("ok", "/mcp/ghost"))]),
        Scenario("fan-out-one", "three servers, one refuses", [fan("fan-one", per_server={"docs": "401"})]),
        Scenario("fan-out-all", "three servers, all refuse; then all answer", [fan("fan-all", "401"), fan("fan-good")]),
        Scenario("rest", "GET /mcp-rest/tools/list", [raw({"http": "GET", "path": "/mcp-rest/tools/list", "token": token("rest-ok")}, {"http": "GET", "path": "/mcp-rest/tools/list", "token": token("rest-401", "401")})]),
        Scenario("refreshed", "expired token, then a fresh one on the same connection", [raw(one("401"), post("/mcp/weather", token("refreshed"), pause=0.2))]),
        Scenario("tls", "upstream over TLS, read with the gateway's key log", basics("safe")),
        Scenario("unique-50", "50 concurrent clients, each with a token of its own", crowd(50, lambda n, b: token(f"unique-{n}", b)), True, CROWD),
        Scenario("shared-50", "50 concurrent clients with few tokens", crowd(50, Shared("shared")), True, SHARED),
        Scenario("modern", "protocol 2026-07-28 on both sides", [
            sdk("/mcp/modern", token("modern-ok"), call=True), sdk("/mcp/modern", token("modern-401", "401")),
            raw(*(post("/mcp/modern", token(f"modern-raw-{b}", b), era="2026-07-28") for b in ("ok", "401", "empty", "401list")))], needs="modern", sdk=2),
        Scenario("calls", "tools/call, prompts/list, resources/list with a good and with an expired token", calls("ok") + calls("401"), True),
        Scenario("hang", f"the upstream never answers, the client gives up after {GIVE_UP} s", [raw(one("hang", timeout=GIVE_UP)), raw(one("ok"))]),
        Scenario("workers", "four workers from their start on, then 60 concurrent clients", mixed(60), True, SHARED, quick=False, gateway="workers"),
    ]


GIVE_UP = 5
STORIES = {}  # fingerprint of a credential -> whose it is and what it provokes
