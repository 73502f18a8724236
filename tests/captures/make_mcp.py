#!/usr/bin/env python3
"""Writes small captures of MCP through a gateway, one for each way in which a revision moves its messages, and all of them in one.

    make_mcp.py FOLDER        NAME.pcap and NAME.expect.json for each, and all.pcap

Client -> gateway 10.0.0.5:4000 -> upstream servers; HTTP/1.1 by hand, so that every message is exactly the one the specification
describes.  What is expected stands beside what is sent: for each client request its verdict, failure, entries, and the requests upstream.
Python standard library only; the same bytes on every run.
"""
import itertools, json, pathlib, struct, sys

GATEWAY, WEATHER, DOCS = ("10.0.0.5", 4000), ("10.0.1.11", 9001), ("10.0.1.12", 9002)
START = 1_790_000_000.0


class Wire:
    """Packets in the order of their times; connections that carry HTTP/1.1."""

    def __init__(self):
        self.packets, self.expected, self.now, self.ports = [], [], START, itertools.count(40000)

    def tick(self, seconds=0.002):
        self.now += seconds

    def client(self):
        return Connection(self, ("10.0.0.7", next(self.ports)), GATEWAY)

    def upstream(self, server=WEATHER):
        return Connection(self, ("10.0.0.5", next(self.ports)), server)

    def expect(self, request, verdict, up, items=None, failure=None, **more):
        """REQUEST: (client port, JSON-RPC method, id). UP: `METHOD name status` for each request upstream, in order."""
        port, method, rpc = request
        self.expected.append(dict(client=port, method=method, id=rpc, verdict=verdict, failure=failure, items=items, up=up, **more))

    def pcap(self):
        out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101)]
        for at, packet in sorted(self.packets, key=lambda one: one[0]):
            micros = round(at * 1e6)
            out.append(struct.pack("<IIII", micros // 1_000_000, micros % 1_000_000, len(packet), len(packet)) + packet)
        return b"".join(out)


class Connection:
    def __init__(self, wire, client, server):
        self.wire, self.ends, self.next = wire, (client, server), [1000, 5000]
        self.send(0, b"", 0x02)
        self.send(1, b"", 0x12)
        self.send(0, b"", 0x10)

    @property
    def port(self):
        return self.ends[0][1]

    def send(self, side, payload, flags=0x18):
        """A segment by the client (0) or the server (1)."""
        (a, b), wire = (self.ends if side == 0 else self.ends[::-1]), self.wire
        wire.tick(0.0002)
        tcp = struct.pack(">HHIIBBHHH", a[1], b[1], self.next[side], self.next[1 - side] if flags != 0x02 else 0, 0x50, flags, 65535, 0, 0)
        octets = lambda ip: bytes(map(int, ip.split(".")))
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(payload), len(wire.packets) & 0xFFFF, 0x4000, 64, 6, 0, octets(a[0]), octets(b[0]))
        wire.packets.append((wire.now, ip + tcp + payload))
        self.next[side] += len(payload) + (1 if flags & 0x03 else 0)

    def ask(self, method, path, body=None, token="good", **headers):
        head = [f"{method} {path} HTTP/1.1", "host: mcp.example", f"authorization: Bearer {token}"]
        head += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        text = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        if body is not None:
            head += ["content-type: application/json", f"content-length: {len(text)}"]
        head.append("accept: " + ("text/event-stream" if method == "GET" else "application/json, text/event-stream"))
        self.send(0, "\r\n".join(head).encode() + b"\r\n\r\n" + text)
        self.wire.tick()
        return self

    def post(self, body, path="/mcp", **headers):
        return self.ask("POST", path, body, **headers)

    def answer(self, status, body=None, **headers):
        """A whole answer, JSON where there is one."""
        text = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        kind = ["content-type: application/json"] if body is not None else []
        more = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send(1, "\r\n".join([f"HTTP/1.1 {status} X", *kind, *more, f"content-length: {len(text)}"]).encode() + b"\r\n\r\n" + text)
        self.wire.tick()
        return self

    def refuse(self):
        return self.answer(401, {"error": "invalid_token"}, www_authenticate='Bearer error="invalid_token"')

    def stream(self, **headers):
        more = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send(1, "\r\n".join(["HTTP/1.1 200 OK", "content-type: text/event-stream", "transfer-encoding: chunked", *more]).encode() + b"\r\n\r\n")
        return self

    def raw(self, text):
        self.send(1, f"{len(text):x}\r\n{text}\r\n".encode())
        self.wire.tick()
        return self

    def event(self, body, id=None, name="message"):
        data = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
        return self.raw((f"id: {id}\n" if id else "") + (f"event: {name}\n" if name else "") + f"data: {data}\n\n")

    def over(self):
        """The stream's orderly end."""
        self.send(1, b"0\r\n\r\n")
        self.wire.tick()
        return self

    def close(self, by=0):
        self.send(by, b"", 0x11)
        self.send(1 - by, b"", 0x11)
        self.send(by, b"", 0x10)
        return self


# ---- messages ----

def request(method, id, **params):
    return {"jsonrpc": "2.0", "id": id, "method": method, **({"params": params} if params else {})}


def note(method, **params):
    return {"jsonrpc": "2.0", "method": method, **({"params": params} if params else {})}


def result(id, **members):
    return {"jsonrpc": "2.0", "id": id, "result": members}


def tools(count, first=0):
    return [{"name": f"tool{n}", "inputSchema": {"type": "object"}} for n in range(first, first + count)]


def hello(revision, id=0):
    return request("initialize", id, protocolVersion=revision, capabilities={}, clientInfo={"name": "gateway", "version": "1"})


def greeted(revision, id=0):
    return result(id, protocolVersion=revision, capabilities={"tools": {}}, serverInfo={"name": "weather", "version": "1"})


def visit(wire, revision, session, token="good", server=WEATHER):
    """A gateway's handshake with a server: initialize, initialized. The connection stays open."""
    up = wire.upstream(server)
    up.post(hello(revision), token=token).answer(200, greeted(revision), mcp_session_id=session)
    up.post(note("notifications/initialized"), token=token, mcp_session_id=session, mcp_protocol_version=revision).answer(202)
    return up


HANDSHAKE = ["POST initialize 200", "POST notifications/initialized 202"]


# ---- recordings ----

def legacy_sse(wire):
    """2024-11-05, HTTP with SSE: answers come on the GET stream."""
    def handshake(token):
        get = wire.upstream().ask("GET", "/sse", token=token)
        get.stream().event(f"/messages/?session_id=s-{token}", name="endpoint")
        post = wire.upstream()
        target = f"/messages/?session_id=s-{token}"
        post.post(hello("2024-11-05"), target, token=token).answer(202)
        get.event(greeted("2024-11-05"))
        post.post(note("notifications/initialized"), target, token=token).answer(202)
        return get, post, target
    # Good: the answer is on the stream, after the 202.
    down = wire.client().post(request("tools/list", 1), token="g1").stream()
    get, post, target = handshake("g1")
    post.post(request("tools/list", 1), target, token="g1").answer(202)
    get.raw(": ping - 2026\n\n").event(result(1, tools=tools(3)))
    get.close(), post.close()
    down.event(result(1, tools=tools(3))).over()
    wire.expect((down.port, "tools/list", 1), "healthy", ["GET stream 200", "POST initialize 202", "POST notifications/initialized 202", "POST tools/list 202"], 3)
    wire.tick(0.3)
    # Refused on the stream's GET: there is no POST at all.
    down.post(request("tools/list", 2), token="b1").stream()
    wire.upstream().ask("GET", "/sse", token="b1").refuse().close()
    down.event(result(2, tools=[])).over()
    wire.expect((down.port, "tools/list", 2), "swallowed", ["GET stream 401"], 0, "unauthorized")
    wire.tick(0.3)
    # Refused at the POST.
    down.post(request("tools/list", 3), token="b2").stream()
    get, post, target = handshake("b2")
    post.post(request("tools/list", 1), target, token="b2").refuse()
    get.close(), post.close()
    down.event(result(3, tools=[])).over()
    wire.expect((down.port, "tools/list", 3), "swallowed", ["GET stream 200", "POST initialize 202", "POST notifications/initialized 202", "POST tools/list 401"], 0, "unauthorized")
    wire.tick(0.3)
    # The gateway's own clients speak it too.
    stream = wire.client().ask("GET", "/sse", token="b3")
    stream.stream().event("/messages/?session_id=down", name="endpoint")
    down = wire.client().post(request("tools/list", 4), "/messages/?session_id=down", token="b3").answer(202)
    wire.upstream(DOCS).post(hello("2025-06-18"), token="b3").refuse().close()
    stream.event(result(4, tools=[])).close()
    wire.expect((down.port, "tools/list", 4), "swallowed", ["POST initialize 401"], 0, "unauthorized")


def batches(wire):
    """2025-03-26: several requests in one POST, answered in any order."""
    asks = [request("tools/list", 1), note("notifications/roots/list_changed"), request("prompts/list", 2)]
    down = wire.client().post(asks, token="batch").stream()
    up = visit(wire, "2025-03-26", "one", "batch", DOCS)
    up.post(request("prompts/list", 1), token="batch", mcp_session_id="one").answer(200, result(1, prompts=[{"name": "p"}, {"name": "q"}])).close()
    up = visit(wire, "2025-03-26", "two", "batch")
    up.post(request("tools/list", 1), token="batch", mcp_session_id="two").refuse().close()
    down.event([result(2, prompts=[{"name": "p"}, {"name": "q"}]), result(1, tools=[])]).over()
    wire.expect((down.port, "prompts/list", 2), "healthy", None, 2)
    wire.expect((down.port, "tools/list", 1), "swallowed", None, 0, "unauthorized")


def resumed(wire):
    """2025-11-25: priming events, streams that end on purpose and are taken up again with Last-Event-ID."""
    revision = "2025-11-25"
    # The gateway lets its client poll: the answer is on the second stream.
    down = wire.client().post(request("tools/list", 1), token="r1", mcp_session_id="d1", mcp_protocol_version=revision)
    down.stream().raw("id: e-1\nretry: 300\ndata:\n\n").over()
    wire.upstream().post(hello(revision), token="r1").refuse().close()
    wire.tick(0.3)
    down.ask("GET", "/mcp", token="r1", mcp_session_id="d1", mcp_protocol_version=revision, last_event_id="e-1")
    down.stream().event(result(1, tools=[]), id="e-2").over()
    wire.expect((down.port, "tools/list", 1), "swallowed", ["POST initialize 401"], 0, "unauthorized")
    wire.tick(0.5)
    # A server lets the gateway poll, twice; its stream breaks off once.
    down = wire.client().post(request("tools/list", 2), token="r2", mcp_session_id="d2", mcp_protocol_version=revision).stream()
    up = visit(wire, revision, "u2", "r2")
    up.post(request("tools/list", 1), token="r2", mcp_session_id="u2").stream().raw("id: u-1\ndata:\n\n").over()
    wire.tick(0.1)
    up.ask("GET", "/mcp", token="r2", mcp_session_id="u2", last_event_id="u-1").stream().raw("id: u-2\ndata:\n\n").close(by=1)
    up = wire.upstream().ask("GET", "/mcp", token="r2", mcp_session_id="u2", last_event_id="u-2")
    up.stream().event(result(1, tools=tools(2)), id="u-3").over()
    down.event(result(2, tools=tools(2))).over()
    wire.expect((down.port, "tools/list", 2), "healthy", [*HANDSHAKE, "POST tools/list 200", "GET stream 200", "GET stream 200"], 2)


def stateless(wire):
    """2026-07-28: no handshake; method and name in headers, revision and client in _meta; results have a type."""
    revision = "2026-07-28"
    meta = {"io.modelcontextprotocol/protocolVersion": revision, "io.modelcontextprotocol/clientInfo": {"name": "c", "version": "1"}}

    def ask(connection, method, id, token, about=None, **params):
        more = {"mcp_name": about} if about else {}
        return connection.post(request(method, id, **params, _meta=meta), token=token, mcp_protocol_version=revision, mcp_method=method, **more)

    def done(id, kind="complete", **members):
        return result(id, resultType=kind, **members)
    found = dict(supportedVersions=[revision], capabilities={"tools": {}}, serverInfo={"name": "weather", "version": "1"})
    down = ask(wire.client(), "server/discover", 1, "s1")
    ask(wire.upstream(), "server/discover", 1, "s1").answer(200, done(1, **found)).close()
    down.answer(200, done(1, **found))
    wire.expect((down.port, "server/discover", 1), "healthy", None)
    wire.tick(0.2)
    ask(down, "tools/list", 2, "s2")
    ask(wire.upstream(), "tools/list", 1, "s2").refuse().close()
    down.answer(200, done(2, tools=[], ttlMs=0, cacheScope="private"))
    wire.expect((down.port, "tools/list", 2), "swallowed", ["POST tools/list 401"], 0, "unauthorized")
    wire.tick(0.2)
    ask(down, "tools/list", 3, "s3")
    ask(wire.upstream(), "tools/list", 1, "s3").answer(200, done(1, tools=tools(2), ttlMs=1000)).close()
    down.answer(200, done(3, tools=tools(2), ttlMs=1000))
    wire.expect((down.port, "tools/list", 3), "healthy", ["POST tools/list 200"], 2)
    wire.tick(0.2)
    # More is needed from the person: not an answer yet, and no failure.
    ask(down, "tools/call", 4, "s4", "book", name="book", arguments={"day": 1})
    needed = dict(inputRequests={"a": {"method": "elicitation/create", "params": {"message": "sure?"}}}, requestState="x")
    ask(wire.upstream(), "tools/call", 1, "s4", "book", name="book", arguments={"day": 1}).answer(200, done(1, "input_required", **needed)).close()
    down.answer(200, done(4, "input_required", **needed))
    wire.expect((down.port, "tools/call", 4), "healthy", ["POST tools/call 200"])
    wire.tick(0.2)
    ask(down, "tools/call", 5, "s5", "book", name="book", arguments={"day": 2})
    ask(wire.upstream(), "tools/call", 1, "s5", "book", name="book", arguments={"day": 2}).refuse().close()
    down.answer(200, done(5, content=[{"type": "text", "text": ""}]))
    wire.expect((down.port, "tools/call", 5), "swallowed", ["POST tools/call 401"], None, "unauthorized")


def noisy(wire):
    """2025-06-18: comments, pings, progress, list changes and requests from the server are no answers."""
    revision = "2025-06-18"

    def noise(connection):
        connection.raw(": ping\n\n").raw("\n\n").event(note("notifications/progress", progressToken=1, progress=1))
        connection.event(note("notifications/tools/list_changed")).event(request("ping", 900))
        connection.event(request("sampling/createMessage", 901, messages=[], maxTokens=5)).event("{}", name="keepalive")
    down = wire.client().post(request("tools/list", 1), token="n1", mcp_session_id="d", mcp_protocol_version=revision).stream()
    up = visit(wire, revision, "n-1", "n1")
    up.post(request("tools/list", 1), token="n1", mcp_session_id="n-1").stream()
    noise(up)
    noise(down)
    # The client answers the server's requests by POSTs of their own.
    other = wire.client().post(result(900), token="n1", mcp_session_id="d").answer(202)
    other.post(result(901, role="assistant", content={"type": "text", "text": "hi"}, model="m"), token="n1", mcp_session_id="d").answer(202)
    # Its own id may be that of a client's request.
    up.event(request("roots/list", 1)).event(result(1, tools=tools(2))).over()
    down.event(result(1, tools=tools(2))).over()
    wire.expect((down.port, "tools/list", 1), "healthy", [*HANDSHAKE, "POST tools/list 200"], 2)
    wire.expect((other.port, None, 900), "background", [])
    wire.expect((other.port, None, 901), "background", [])
    wire.tick(0.4)
    down.post(request("tools/list", 2), token="n2", mcp_session_id="d", mcp_protocol_version=revision).stream()
    noise(down)
    wire.upstream().post(hello(revision), token="n2").refuse().close()
    noise(down)
    down.event(result(2, tools=[])).over()
    wire.expect((down.port, "tools/list", 2), "swallowed", ["POST initialize 401"], 0, "unauthorized")
    wire.tick(0.4)
    down.post(request("ping", 3), token="n2", mcp_session_id="d", mcp_protocol_version=revision).answer(200, result(3))
    wire.expect((down.port, "ping", 3), "background", [])


def cancelled(wire):
    """A client takes its request back, as SDKs do when they have waited long enough: no answer is due, so none is malformed."""
    revision = "2025-06-18"
    call = dict(name="slow", arguments={"n": 1})
    down = wire.client().post(request("tools/call", 7, **call), token="c1", mcp_session_id="dc", mcp_protocol_version=revision).stream()
    up = visit(wire, revision, "c-1", "c1")
    up.post(request("tools/call", 1, **call), token="c1", mcp_session_id="c-1").stream()
    wire.tick(2)
    other = wire.client().post(note("notifications/cancelled", requestId=7, reason="enough"), token="c1", mcp_session_id="dc").answer(202)
    wire.upstream().post(note("notifications/cancelled", requestId=1), token="c1", mcp_session_id="c-1").answer(202)
    up.over().close()
    down.over().close(by=1)
    wire.expect((down.port, "tools/call", 7), "stalled", [*HANDSHAKE, "POST tools/call 200", "POST notifications/cancelled 202"], None, "timeout")
    wire.expect((other.port, "notifications/cancelled", None), "background", None)


def pages(wire):
    """Lists in pages: gathered by the gateway, passed on, or lost."""
    revision = "2025-06-18"
    down = wire.client().post(request("tools/list", 1), token="p1").stream()
    up = visit(wire, revision, "p-1", "p1")
    up.post(request("tools/list", 1), token="p1", mcp_session_id="p-1").answer(200, result(1, tools=tools(2), nextCursor="two"))
    up.post(request("tools/list", 2, cursor="two"), token="p1", mcp_session_id="p-1").answer(200, result(2, tools=tools(2, 2))).close()
    down.event(result(1, tools=tools(4))).over()
    wire.expect((down.port, "tools/list", 1), "healthy", [*HANDSHAKE, "POST tools/list 200", "POST tools/list 200"], 4, notes=[])
    wire.tick(0.3)
    down.post(request("tools/list", 2), token="p2").stream()
    up = visit(wire, revision, "p-2", "p2")
    up.post(request("tools/list", 1), token="p2", mcp_session_id="p-2").answer(200, result(1, tools=tools(2), nextCursor="two")).close()
    down.event(result(2, tools=tools(2))).over()
    wire.expect((down.port, "tools/list", 2), "healthy", [*HANDSHAKE, "POST tools/list 200"], 2, notes=["pagination-lost"])
    wire.tick(0.3)
    down.post(request("tools/list", 3), token="p3").stream()
    up = visit(wire, revision, "p-3", "p3")
    up.post(request("tools/list", 1), token="p3", mcp_session_id="p-3").answer(200, result(1, tools=tools(2), nextCursor="two")).close()
    down.event(result(3, tools=tools(2), nextCursor="g-two")).over()
    wire.expect((down.port, "tools/list", 3), "healthy", [*HANDSHAKE, "POST tools/list 200"], 2, notes=[])
    wire.tick(0.3)
    # The second page is refused: what came is not all.
    down.post(request("tools/list", 4), token="p4").stream()
    up = visit(wire, revision, "p-4", "p4")
    up.post(request("tools/list", 1), token="p4", mcp_session_id="p-4").answer(200, result(1, tools=tools(2), nextCursor="two"))
    up.post(request("tools/list", 2, cursor="two"), token="p4", mcp_session_id="p-4").refuse().close()
    down.event(result(4, tools=[])).over()
    wire.expect((down.port, "tools/list", 4), "swallowed", [*HANDSHAKE, "POST tools/list 200", "POST tools/list 401"], 0, "unauthorized")


RECORDINGS = (legacy_sse, batches, resumed, stateless, noisy, cancelled, pages)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)

    def write(name, wire, about):
        (folder / f"{name}.pcap").write_bytes(wire.pcap())
        lines = ",\n  ".join(map(json.dumps, wire.expected))
        (folder / f"{name}.expect.json").write_text(f'{{\n "about": {json.dumps(about)},\n "gateway": "{GATEWAY[0]}:{GATEWAY[1]}",\n "pairs": [\n  {lines}\n ]\n}}\n')
    every = Wire()
    for recording in RECORDINGS:
        alone = Wire()
        for wire in (alone, every):
            recording(wire)
            wire.tick(3)
        write(recording.__name__.replace("_", "-"), alone, recording.__doc__)
    write("all", every, "Every revision in one capture.")


if __name__ == "__main__":
    main()
