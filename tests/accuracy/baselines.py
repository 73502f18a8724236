"""What simpler tools would answer: FIFO, nearest in time, the best assignment by time alone, and tokens alone.

They work from `gatewitness exchanges --format ndjson` and are told more than the product is: which exchange is whose side (from the truth
file), and which methods can cause which.  What one connection carries from one `initialize` to the next is one visit.  The judge is the
same for all: a visit that failed under an answer that did not is a masked failure.
"""
import bisect, collections, heapq, math, re, struct

NAMES = ("fifo", "nearest", "assignment", "token")
BACKGROUND = ("notifications/", "ping")
SLACK = 0.005     # an upstream answer may end this much after the client's, seconds
NEAR = 24         # requests that the assignment weighs for one visit, from either end
WINDOW = 150      # visits that are assigned together
ROUNDS = 3        # of learning delays and assigning by them
CREDENTIAL = re.compile(rb"\r\n(authorization|x-litellm-api-key|x-api-key|api-key): *([^\r\n]+)", re.I)


class Ask:
    """A client request."""
    __slots__ = ("record", "start", "end", "method", "lists", "token", "filled", "visits")

    def __init__(self, record, seconds, token):
        self.record, self.token, self.visits, self.filled = record, token, [], set()
        self.start = seconds(record["start"])
        self.end = seconds(record["end"]) if record["end"] else math.inf
        mcp = record.get("mcp") or {}
        self.method, self.lists = mcp.get("method"), mcp.get("lists")

    def background(self):
        http = self.record["http"]
        return (self.method or "").startswith(BACKGROUND) or not (self.method or self.lists) or http["method"] == "DELETE"

    def holds(self, visit):
        return self.start <= visit.start <= self.end and visit.end <= self.end + SLACK


class Visit:
    """What the gateway said to one server in one go."""
    __slots__ = ("records", "server", "start", "end", "op", "failed", "token")

    def __init__(self, record, token):
        self.records, self.server, self.token = [], record["server"], token
        self.start, self.end, self.op, self.failed = math.inf, 0.0, None, False

    def add(self, record, seconds):
        self.records.append(record)
        start = seconds(record["start"])
        self.start, self.end = min(self.start, start), max(self.end, start)
        mcp, method = record.get("mcp") or {}, (record.get("mcp") or {}).get("method")
        if record["http"]["method"] == "POST" and not (method or "").startswith("notifications/"):
            self.end = max(self.end, seconds(record["end"]) if record["end"] else start)   # streams and DELETE outlive the answer
            status = record["http"]["status"]
            self.failed = status is None or status >= 400 or mcp.get("error") is not None
            if method and method not in ("initialize", "server/discover"):
                self.op = method


def sides(exchanges, reqs, ups, norm, listen):
    """The exchanges of the clients and those of the gateway, as truth says."""
    clients = {a for q in reqs for a in q["aliases"]}
    gateway = {a for u in ups if not u["auth"] for a in u["aliases"]}
    down = [e for e in exchanges if norm(e["client"]) in clients and e["http"]["method"]]
    inner = [e for e in down if norm(e["server"]) in listen]
    up = [e for e in exchanges if norm(e["client"]) in gateway and norm(e["client"]) not in clients and e["http"]["method"]]
    return inner or down, up


def visits(up, seconds, tokens):
    found, open_at = [], {}
    for e in sorted(up, key=lambda e: e["start"]):
        at, method = (e["client"], e["server"]), (e.get("mcp") or {}).get("method")
        visit = open_at.get(at)
        after = method is None or method.startswith("notifications/")
        if visit is None or method == "initialize" or ((visit.op or visit.failed) and not after):
            visit = open_at[at] = Visit(e, tokens.get(id(e)))
            found.append(visit)
        visit.add(e, seconds)
    return sorted(found, key=lambda v: (v.start, v.end))


def answer(name, asks, found):
    """Ties every visit to a request, or to none."""
    for ask in asks:
        ask.visits, ask.filled = [], set()
    asks = [a for a in asks if not a.background()]
    for parent, visit in zip(globals()[name](asks, found), found):
        if parent is not None:
            parent.visits.append(visit)


def by_method(asks):
    """Requests in order of start for each method that a visit may have; None stands for all that may list or call."""
    groups = collections.defaultdict(list)
    for ask in asks:
        groups[ask.method].append(ask)
        if ask.lists and ask.method is None:   # a REST route
            groups[ask.lists + "/list"].append(ask)
        if ask.method != "initialize":
            groups[None].append(ask)
    for group in groups.values():
        group.sort(key=lambda a: a.start)
    return groups


def candidates(groups, visit):
    return groups.get(visit.op) or groups[None]


def fifo(asks, found):
    """The oldest open request that this server was not asked for yet."""
    groups, first = by_method(asks), collections.Counter()
    for visit in found:
        group, key, parent = candidates(groups, visit), visit.op, None
        while first[key] < len(group) and group[first[key]].end < visit.start:
            first[key] += 1
        for ask in group[first[key]:bisect.bisect_right(group, visit.start, key=lambda a: a.start)]:
            if (visit.op is None or visit.server not in ask.filled) and ask.holds(visit):
                if visit.op:   # a probe does not stand for the visit proper
                    ask.filled.add(visit.server)
                parent = ask
                break
        yield parent


def latest(group, visit, want=lambda ask: True):
    """The open request that began last before the visit did."""
    for n in range(bisect.bisect_right(group, visit.start, key=lambda a: a.start) - 1, -1, -1):
        ask = group[n]
        if ask.holds(visit) and want(ask):
            return ask
        if ask.start < visit.start - 120:
            return None
    return None


def nearest(asks, found):
    groups = by_method(asks)
    for visit in found:
        yield latest(candidates(groups, visit), visit)


def token(asks, found):
    """The open request with the visit's token; where clients never show that token, with the one it is seen beside most often."""
    groups = by_method(asks)
    shown = {a.token for a in asks if a.token}
    beside = collections.defaultdict(collections.Counter)
    for visit in found:
        if visit.token and visit.token not in shown:
            group = candidates(groups, visit)
            n = bisect.bisect_right(group, visit.start, key=lambda a: a.start)
            around = {a.token for a in group[max(0, n - 200):n] if a.token and a.holds(visit)}
            for other in around:
                beside[visit.token][other] += 1 / len(around)
    replaced = {}
    for mine, counts in beside.items():
        first, second = (sorted(counts.items(), key=lambda c: (-c[1], c[0])) + [(None, 0), (None, 0)])[:2]
        if first[1] > 2 * second[1]:   # else everybody's
            replaced[mine] = first[0]
    for visit in found:
        same = visit.token if visit.token in shown else replaced.get(visit.token)
        group = candidates(groups, visit)
        yield latest(group, visit, (lambda a: a.token == same) if same else (lambda a: True))


def assignment(asks, found):
    """Least cost in all, the cost being how rare the delays at start and end are; one visit to a server for each request."""
    groups = by_method(asks)
    ends = {op: sorted(group, key=lambda a: a.end) for op, group in groups.items()}
    servers = collections.defaultdict(list)
    for n, visit in enumerate(found):
        servers[visit.server].append(n)
    parents = dict(enumerate(nearest(asks, found)))   # delays are learned from these, then from what was assigned
    for _ in range(ROUNDS):
        delays = [collections.Counter(), collections.Counter()]
        for n, parent in parents.items():
            if parent is not None:
                delays[0][bucket(found[n].start - parent.start)] += 1
                delays[1][bucket(parent.end - found[n].end)] += 1
        parents = assign(found, servers, groups, ends, [weigher(counts) for counts in delays])
    return [parents.get(n) for n in range(len(found))]


def assign(found, servers, groups, ends, cost):
    parents = {}
    for server, of_server in sorted(servers.items()):
        filled = set()
        for at in range(0, len(of_server), WINDOW):
            window = of_server[at:at + WINDOW]
            rows = []
            for visit in (found[n] for n in window):
                near = around(candidates(groups, visit), ends[visit.op] if groups.get(visit.op) else ends.get(None, []), visit)
                rows.append({a: cost[0](bucket(visit.start - a.start)) + cost[1](bucket(a.end - visit.end)) for a in near if a not in filled})
            for row, visit in enumerate(found[n] for n in window):
                if visit.op is None and rows[row]:   # a probe does not stand for the visit proper
                    parents[window[row]] = min(rows[row], key=rows[row].get)
                    rows[row] = {}
            for row, ask in match(rows).items():
                filled.add(ask)
                parents[window[row]] = ask
    return parents


def bucket(gap):
    """A gap's class: its sign and a third of a doubling. An exchange whose end was not seen has no end: the gap is the longest."""
    return int(3 * math.log2(min(max(gap, 1e-5), 3600) / 1e-5)) if gap >= 0 else -1


def weigher(counts):
    total = sum(counts.values()) + 60
    return lambda at: -math.log((counts[at] + 0.5 * (counts[at - 1] + counts[at + 1]) + 0.5) / total)


def around(group, ends, visit):
    """Requests that hold the visit, nearest by start and nearest by end."""
    found, n = {}, bisect.bisect_right(group, visit.start, key=lambda a: a.start) - 1
    for ask in (group[i] for i in range(n, max(-1, n - 4 * NEAR), -1)):
        if len(found) < NEAR and ask.holds(visit):
            found[ask] = True
    n, more = bisect.bisect_left(ends, visit.end - SLACK, key=lambda a: a.end), 0
    for ask in (ends[i] for i in range(n, min(len(ends), n + 4 * NEAR))):
        if more < NEAR and ask.holds(visit):
            found[ask] = True
            more += 1
    return found


def match(rows):
    """Least-cost matching of rows to columns, as many rows as can be: shortest augmenting paths with potentials."""
    row_of, col_of, high = {}, {}, collections.defaultdict(float)
    low = [min(edges.values(), default=0.0) for edges in rows]
    for start in range(len(rows)):
        best, back, done, heap, tie, goal = {}, {}, set(), [], 0, None
        row, base = start, 0.0
        while True:
            for col, weight in rows[row].items():
                if col in done:
                    continue
                through = base + weight - low[row] - high[col]
                if through < best.get(col, math.inf) - 1e-12:
                    best[col], back[col] = through, row
                    tie += 1
                    heapq.heappush(heap, (through, tie, col))
            while heap and (heap[0][2] in done or heap[0][0] > best[heap[0][2]] + 1e-12):
                heapq.heappop(heap)
            if not heap:
                break
            base, _, col = heapq.heappop(heap)
            done.add(col)
            if col not in row_of:
                goal = col
                break
            row = row_of[col]
        if goal is None:
            continue
        low[start] += base
        for col in done:
            if col in row_of:
                low[row_of[col]] += base - best[col]
            high[col] -= base - best[col]
        while goal is not None:
            row = back[goal]
            row_of[goal], goal_before = row, col_of.get(row)
            col_of[row] = goal
            goal = goal_before if row != start else None
    return col_of


def records(asks):
    """One `pair` record for each request, judged."""
    for ask in asks:
        upstream = [r for v in sorted(ask.visits, key=lambda v: v.start) for r in v.records]
        yield {"record": "pair", "verdict": judged(ask), "downstream": ask.record, "upstream": upstream}


def judged(ask):
    http, mcp = ask.record["http"], ask.record.get("mcp") or {}
    if ask.background():
        return "background"
    last = {v.server: v for v in sorted(ask.visits, key=lambda v: v.start)}.values()   # what came after it mends a failure
    failed = [v for v in last if v.failed]
    if ask.end == math.inf or http["status"] is None:
        return "stalled" if failed or not ask.visits else "unresolved"
    if http["status"] >= 400 or mcp.get("error") or mcp.get("is_error"):
        return "propagated" if failed else "rejected"
    listing = mcp.get("lists") is not None
    if failed and (listing or ask.method == "tools/call"):
        some = mcp["items"] > 0 if mcp.get("items") is not None else len(failed) < len(last)
        return "partial" if listing and some else "swallowed"
    return "empty" if listing and mcp.get("items") == 0 else "healthy"


def tokens(capture, exchanges):
    """The credential of each exchange, by its identity: from the record if it has one, else from the head of its first packets."""
    found = {id(e): e["token"] for e in exchanges if e.get("token")}
    wanted = collections.defaultdict(list)
    for e in exchanges:
        if id(e) not in found and e.get("frames") and e["via"] == "packets":
            wanted[e["frames"][0]].append(e)
    for frame, packet in frames(capture):
        for e in wanted.get(frame, ()):
            first = None
            for name, value in CREDENTIAL.findall(packet):
                first = value if first is None or name.lower() == b"authorization" else first
            if first is not None:
                found[id(e)] = first.decode("latin-1")
    return found


def frames(path):
    """(number from 1, bytes) of every packet of a pcap or pcapng file."""
    with open(path, "rb") as f:
        data = f.read()
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        end = "<" if data[8:12] == b"\x4d\x3c\x2b\x1a" else ">"
        at = n = 0
        while at + 12 <= len(data):
            kind, size = struct.unpack_from(end + "II", data, at)
            if kind == 6:
                n += 1
                yield n, data[at + 28:at + 28 + struct.unpack_from(end + "I", data, at + 20)[0]]
            at += max(size, 12)
        return
    end = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at, n = 24, 0
    while at + 16 <= len(data):
        size = struct.unpack_from(end + "I", data, at + 8)[0]
        n += 1
        yield n, data[at + 16:at + 16 + size]
        at += 16 + size
