"""What is swept: one cell is one set of the generator's options (traffic.py --help), by default 50 clients who hardly think."""

BASE = {"servers": 6, "fanout": 4, "think-ms": 5, "body": "small", "llm": 0, "noise": 0, "masked": 0.1, "surfaced": 0.05, "token-share": 0.5, "clients": 50}
TOKENS = {"own tokens": 0, "half shared": 0.5, "shared tokens": 1}
ENDS = {"own tokens": 0, "shared tokens": 1}


class Cell:
    def __init__(self, group, name, quick=False, **options):
        self.group, self.name, self.quick = group, name, quick
        self.options = {**BASE, **{k.replace("_", "-"): v for k, v in options.items()}}

    def arguments(self, prefix, seed, small):
        clients = self.options["clients"]
        requests = max(300, 5 * clients) if small else max(1000, 5 * clients)
        words = ["-o", prefix, "--seed", str(seed), "--requests", str(requests), "--bytes", "400M"]
        for key, value in self.options.items():
            words += [f"--{key}"] if value is True else [f"--{key}", str(value)]
        return words

    def seeds(self):
        return 2 if self.options["clients"] < 1000 else 1

    def tick(self):
        return self.options.get("tick-us", 0) / 1e6


def each(group, tokens, axis, quick=()):
    """Every value of an axis with every way of having tokens; `quick` names those that the short run has."""
    for label, options in axis.items():
        for word, share in tokens.items():
            yield Cell(group, f"{label}, {word}", f"{label}, {word}" in quick, token_share=share, **options)


def cells():
    found = []
    found += each("Clients at once", TOKENS, {f"{n} client{'s' * (n > 1)}": {"clients": n} for n in (1, 10, 50, 200, 500, 1000, 2000)},
                  ("1 client, shared tokens", "50 clients, own tokens", "50 clients, shared tokens"))
    one = {"servers": 1, "fanout": 1}
    found += each("One server: nothing but time tells requests apart", ENDS, {f"{n} clients": {"clients": n, **one} for n in (10, 50, 200, 1000)},
                  ("50 clients, shared tokens",))
    found += each("Fan-out", ENDS, {f"1 to {n} of 16 servers": {"servers": 16, "fanout": n} for n in (1, 2, 4, 8, 16)}, ("1 to 16 of 16 servers, shared tokens",))
    found += each("Packets missing from the capture", TOKENS, {f"{100 * x:g} %": {"capture-drop": x} for x in (0.001, 0.01, 0.05)}, ("1 %, half shared",))
    found += each("Trouble on the wire", ENDS, {
        "1 % lost": {"loss": 0.01}, "5 % lost": {"loss": 0.05}, "5 % out of order": {"reorder": 0.05}, "1 % lost, 5 % out of order, 1 % twice": {"loss": 0.01, "reorder": 0.05, "dup": 0.01},
    }, ("1 % lost, 5 % out of order, 1 % twice, own tokens",))
    found += each("Connections", ENDS, {
        "always reused": {"conn-reuse": 1}, "never reused upstream": {"conn-reuse": 0}, "one for each request": {"short-conns": True},
        "sessions always new": {"session-reuse": 0}, "sessions always reused": {"session-reuse": 1},
    })
    found += each("Equal timestamps", ENDS, {f"clock of {n:g} ms": {"tick-us": int(n * 1000)} for n in (0.1, 1, 10)})
    found += each("What upstream answers", ENDS, {
        "a third of the lists truly empty": {"empty": 0.33}, "half of all fails": {"masked": 0.4, "surfaced": 0.1},
        "half fails, a third truly empty, one server": {"masked": 0.4, "surfaced": 0.1, "empty": 0.33, **one},
    }, ("half fails, a third truly empty, one server, shared tokens",))
    forwarded = {"client's token forwarded": 0, "half forwarded, half shared": 0.5}
    found += each("The client's own token goes upstream", forwarded, {f"{n} clients": {"clients": n, "forward-token": True} for n in (50, 500)},
                  ("50 clients, client's token forwarded",))
    found.append(Cell("Other traffic on the gateway", "chat completions and noise, half shared", llm=0.06, noise=0.05, llm_tokens=40))
    return found
