#!/usr/bin/env python3
"""Deterministic generator of MCP-gateway packet captures, with ground truth.

Writes  OUT.pcap          classic pcap (microsecond, or --nano)
        OUT.truth.ndjson  one JSON object per client request, in start order
        OUT.summary.json  counts: packets, bytes, flows, HTTP messages, verdicts

Same arguments + same seed = same bytes.  Python standard library only.

Model.  K clients keep one HTTP/1.1 keep-alive connection each to the gateway
(port 4000) and run a closed loop (request, think, request ...).  The gateway
turns MCP requests into upstream exchanges with 1..4 of M upstream servers
(plain HTTP, port 9000+i) and proxies LLM chat completions (SSE token streams)
to LLM upstreams (port 8000).  A new upstream MCP session is
initialize + notifications/initialized (202) + the call itself; a reused one is
the call alone.  The capture point is the gateway host, so both sides are in
one file.  A "masked" request is one where an upstream exchange failed
(401, 5xx, reset) and the client still got HTTP 200 with a JSON-RPC result.
"""
import argparse, heapq, json, random, struct, sys, zlib

SEC = 1_000_000_000
MS = 1_000_000
US = 1_000
GW_MAC, CL_MAC = bytes.fromhex("02000a000001"), bytes.fromhex("02000a0000fe")
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
C2S, S2C = 0, 1
TCP_HDR = struct.Struct("!HHIIBBHHHBBBBII")      # 20 + NOP NOP TS(8,10) = 32
BASE_T = 1_760_000_000 * SEC


def parse_args(argv=None):
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    a = p.add_argument
    a("-o", "--out", required=True, help="output prefix")
    a("--seed", type=int, default=1)
    a("--bytes", default="100M", help="stop starting work after this much pcap (K/M/G suffix)")
    a("--requests", type=int, default=0, help="stop after this many client requests (0: no limit)")
    a("--clients", type=int, default=50)
    a("--servers", type=int, default=6, help="MCP upstream servers")
    a("--llm-servers", type=int, default=2)
    a("--fanout", type=int, default=4, help="tools/list goes to 1..N servers")
    a("--think-ms", type=float, default=40.0, help="mean client think time")
    a("--upstream-ms", type=float, default=25.0, help="mean upstream service time")
    a("--llm", type=float, default=0.06, help="fraction of client requests that are LLM completions")
    a("--llm-tokens", type=int, default=120, help="mean SSE tokens per completion")
    a("--token-us", type=float, default=9000.0, help="mean gap between LLM tokens, microseconds")
    a("--body", default="mixed", choices=["small", "mixed", "big"], help="tools/call body sizes")
    a("--masked", type=float, default=0.02, help="fraction of MCP calls with a swallowed upstream failure")
    a("--masked-mix", default="401:7,503:2,reset:1")
    a("--surfaced", type=float, default=0.02, help="fraction where the upstream failure is passed on")
    a("--session-reuse", type=float, default=0.3, help="upstream MCP session reused (no initialize)")
    a("--conn-reuse", type=float, default=0.7, help="upstream connection taken from the pool")
    a("--short-conns", action="store_true", help="one connection per request on both sides")
    a("--token-share", type=float, default=0.3, help="fraction of upstream calls using a shared service token")
    a("--forward-token", action="store_true", help="clients send the credential that goes upstream, too: equal on both sides")
    a("--empty", type=float, default=0.0, help="fraction of upstream tools/list that are answered with a true empty list")
    a("--gzip", type=float, default=0.1, help="fraction of larger JSON responses with content-encoding gzip")
    a("--sse", type=float, default=0.5, help="fraction of MCP responses as chunked text/event-stream")
    a("--tick-us", type=int, default=0, help="coarse capture clock: timestamps cut to this step, so many are equal")
    a("--loss", type=float, default=0.0, help="segments lost on the wire and retransmitted")
    a("--reorder", type=float, default=0.0)
    a("--dup", type=float, default=0.0)
    a("--capture-drop", type=float, default=0.0, help="packets missing from the capture only")
    a("--noise", type=float, default=0.05, help="share of bytes that is TLS-like or DNS noise")
    a("--ipv6", type=float, default=0.0, help="fraction of clients over IPv6")
    a("--offload", action="store_true", help="GSO/GRO frames up to ~60 KB, bad checksums on transmit")
    a("--mtu", type=int, default=1500)
    a("--link", default="ether", choices=["ether", "sll2"])
    a("--nano", action="store_true", help="nanosecond pcap")
    return p.parse_args(argv)


def size_arg(s):
    m = {"K": 10**3, "M": 10**6, "G": 10**9}
    return int(float(s[:-1]) * m[s[-1].upper()]) if s[-1].upper() in m else int(s)


class Gen:
    def __init__(self, a):
        self.a = a
        self.r = random.Random(a.seed)
        self.target = size_arg(a.bytes)
        self.buf, self.n, self.nbytes, self.npk, self.emitted = [], 0, 24, 0, 0
        self.pcap = open(a.out + ".pcap", "wb", buffering=1 << 20)
        self.truth = open(a.out + ".truth.ndjson", "w", buffering=1 << 20)
        self.pcap.write(struct.pack("<IHHiIII", 0xA1B23C4D if a.nano else 0xA1B2C3D4, 2, 4, 0, 0,
                                    262144, 276 if a.link == "sll2" else 1))
        self.tdiv = 1 if a.nano else 1000
        self.rec = struct.Struct("<IIII")
        self.ipid = 1
        self.conns = self.http_req = self.http_resp = self.noise_bytes = 0
        self.counts = {}
        self.rid = self.drop = self.lost = self.reord = self.dupd = 0
        self.lossy = a.loss > 0 or a.reorder > 0 or a.dup > 0
        self.mss = 60000 if a.offload else a.mtu - 20 - 32
        self.mss6 = 60000 if a.offload else a.mtu - 40 - 32
        self.gw4, self.gw6 = bytes([10, 0, 0, 1]), bytes.fromhex("fd00000000000000000000000000000a")
        self.words = self.make_words()
        self.pools = {}           # upstream idx -> heap of (free_at, serial, conn)
        self.serial = 0
        self.next_port, self.used = 20000, set()
        self.mix = [(k, int(w)) for k, w in (x.split(":") for x in a.masked_mix.split(","))]
        self.mixw = [w for _, w in self.mix]
        self.pending_truth = []   # (start, seq, obj)

    # ---- text ---------------------------------------------------------
    def make_words(self):
        r = random.Random(99)
        syl = "ta ri mo ken sul pra dex vin oro lat qui bem hos nul fer gad wex pil jon sti".split()
        w = ["".join(r.choices(syl, k=r.randint(1, 4))) for _ in range(700)]
        out, n = [], 0
        while n < 1_200_000:
            k = r.random()
            s = (r.choice(w) + " ") if k < .8 else ("%d, " % r.randint(0, 99999)) if k < .9 else "\\n- " if k < .95 else "\\\"key\\\": "
            out.append(s)
            n += len(s)
        self.vocab = w
        return "".join(out)

    def text(self, n):
        if n <= 0:
            return ""
        o = self.r.randrange(0, len(self.words) - n - 2)
        s = self.words[o:o + n]
        while s.startswith("\\") or s[:1] in 'n"':      # never start inside an escape
            s = s[1:] or "x"
            if s.startswith("\\"):
                s = s[1:]
        e = len(s) - len(s.rstrip("\\"))
        return s[:-1] if e % 2 else s

    # ---- packets ------------------------------------------------------
    def emit(self, ts, frame):
        self.n += 1
        if self.a.capture_drop and self.r.random() < self.a.capture_drop:
            self.drop += 1
            self.cur_damaged = True
            return
        if self.a.tick_us:
            ts -= ts % (self.a.tick_us * US)
        self.buf.append((ts, self.n, frame))
        self.emitted += len(frame) + 16

    def flush(self, upto):
        b = self.buf
        if not b:
            return
        b.sort()
        if upto is None:
            cut = len(b)
        else:
            lo, hi = 0, len(b)
            while lo < hi:
                m = (lo + hi) // 2
                if b[m][0] < upto:
                    lo = m + 1
                else:
                    hi = m
            cut = lo
        if not cut:
            return
        out, pack, div = [], self.rec.pack, self.tdiv
        for ts, _, f in b[:cut]:
            out.append(pack(ts // SEC, (ts % SEC) // div, len(f), len(f)))
            out.append(f)
        s = b"".join(out)
        self.pcap.write(s)
        self.nbytes += len(s)
        self.npk += cut
        del b[:cut]

    def l2(self, out, v6):
        et = b"\x86\xdd" if v6 else b"\x08\x00"
        if self.a.link == "sll2":      # protocol, reserved, ifindex, arphrd, pkttype, halen, addr[8]
            return et + b"\0\0" + b"\0\0\0\2" + b"\0\1" + (b"\4" if out else b"\0") + b"\6" + \
                (GW_MAC if out else CL_MAC) + b"\0\0"
        return (CL_MAC + GW_MAC if out else GW_MAC + CL_MAC) + et

    def new_conn(self, client, server, ts, rtt, gw_is_server):
        """client/server: (ip bytes, port).  Emits the handshake; returns the connection."""
        c = Conn()
        self.conns += 1
        self.serial += 1
        c.serial = self.serial
        c.ends = (client, server)
        c.v6 = len(client[0]) == 16
        c.rtt = rtt
        c.mss = self.mss6 if c.v6 else self.mss
        c.gw_dir = S2C if gw_is_server else C2S          # direction that leaves the gateway
        c.seq = [self.r.getrandbits(32), self.r.getrandbits(32)]
        c.hdr = []
        for d in (0, 1):
            s, t = c.ends[d], c.ends[1 - d]
            pseudo = int.from_bytes(s[0] + t[0], "big") % 65535 + 6
            l2 = self.l2(d == c.gw_dir, c.v6)
            if c.v6:
                ip = (l2, s[0] + t[0])
            else:
                base = (int.from_bytes(b"\x45\0\0\0\0\0\x40\0\x40\x06\0\0" + s[0] + t[0], "big")) % 65535
                ip = (l2, base, s[0] + t[0])
            c.hdr.append((ip, pseudo, s[1], t[1]))
        opt = b"\x02\x04\x05\xb4\x04\x02\x08\x0a" + struct.pack("!II", ts // MS & 0xFFFFFFFF, 0) + b"\x01\x03\x03\x07"
        self.raw(c, C2S, ts, SYN, b"", opts=opt)
        c.seq[C2S] = (c.seq[C2S] + 1) & 0xFFFFFFFF
        t2 = ts + (30 * US if c.gw_dir == S2C else rtt)
        self.raw(c, S2C, t2, SYN | ACK, b"", opts=opt)
        c.seq[S2C] = (c.seq[S2C] + 1) & 0xFFFFFFFF
        t3 = t2 + (rtt if c.gw_dir == S2C else 10 * US)
        self.raw(c, C2S, t3, ACK, b"")
        c.free_at = t3 + 5 * US
        return c

    def raw(self, c, d, ts, flags, data, seq=None, ack=None, opts=None):
        ip, pseudo, sp, dp = c.hdr[d]
        if seq is None:
            seq = c.seq[d]
        if ack is None:
            ack = c.seq[1 - d] if flags & ACK else 0
        tv = ts // MS & 0xFFFFFFFF
        if opts is None:
            h = TCP_HDR.pack(sp, dp, seq, ack, 0x80, flags, 501, 0, 0, 1, 1, 8, 10, tv, tv - 1 & 0xFFFFFFFF)
        else:
            h = struct.pack("!HHIIBBHHH", sp, dp, seq, ack, (20 + len(opts)) << 2, flags, 64240, 0, 0) + opts
        seg = h + data
        tl = len(seg)
        if self.a.offload and d == c.gw_dir:
            ck = (pseudo + tl) % 65535                    # what a host capture sees before checksum offload
        else:
            s = (pseudo + tl + int.from_bytes(seg if not tl & 1 else seg + b"\0", "big")) % 65535
            ck = 65535 - s if s else 0
        if c.v6:
            f = b"".join((ip[0], struct.pack("!IHBB", 0x60000000, tl, 6, 64), ip[1], h[:16],
                          ck.to_bytes(2, "big"), h[18:], data))
        else:
            self.ipid = ident = (self.ipid + 1) & 0xFFFF
            s = (ip[1] + tl + 20 + ident) % 65535
            f = b"".join((ip[0], struct.pack("!BBHHHBBH", 0x45, 0, tl + 20, ident, 0x4000, 64, 6,
                                             65535 - s if s else 0), ip[2], h[:16],
                          ck.to_bytes(2, "big"), h[18:], data))
        self.emit(ts, f)

    def send(self, c, d, ts, data, piggy=True):
        """Send data in direction d starting at ts. Returns (first ts, last ts) seen at the capture point."""
        n, mss, off, t, first = len(data), c.mss, 0, ts, ts
        k, end, a, r = 0, ts, self.a, self.r
        outgoing = d == c.gw_dir
        ack_delay = c.rtt if outgoing else 15 * US
        while off < n:
            chunk = data[off:off + mss]
            last = off + len(chunk) >= n
            fl = ACK | PSH if last else ACK
            seq = c.seq[d]
            when = t
            if self.lossy:
                x = r.random()
                if x < a.loss:
                    self.lost += 1
                    if outgoing:                         # leaves, is lost later: seen twice
                        self.raw(c, d, t, fl, chunk)
                    when = t + c.rtt + 3 * MS + r.randrange(40 * MS)
                elif x < a.loss + a.reorder:
                    self.reord += 1
                    when = t + 40 * US + r.randrange(300 * US)
                elif x < a.loss + a.reorder + a.dup:
                    self.dupd += 1
                    self.raw(c, d, t + 20 * US + r.randrange(100 * US), fl, chunk)
            self.raw(c, d, when, fl, chunk)
            if when > end:
                end = when
            off += len(chunk)
            c.seq[d] = (seq + len(chunk)) & 0xFFFFFFFF
            k += 1
            if k & 1 == 0 or (last and not piggy):
                self.raw(c, 1 - d, max(when, end) + ack_delay, ACK, b"", ack=c.seq[d], seq=c.seq[1 - d])
            t += 1200 + len(chunk) * 8 + r.randrange(2000)
        c.free_at = end + 2 * US
        return first, end

    def close(self, c, ts, by, rst=False):
        if c.gw_dir == C2S:
            self.used.discard(c.ends[0][1])
        if rst:
            self.raw(c, by, ts, RST | ACK, b"")
            return
        self.raw(c, by, ts, FIN | ACK, b"")
        c.seq[by] = (c.seq[by] + 1) & 0xFFFFFFFF
        t = ts + (c.rtt if by == c.gw_dir else 40 * US)
        self.raw(c, 1 - by, t, FIN | ACK, b"")
        c.seq[1 - by] = (c.seq[1 - by] + 1) & 0xFFFFFFFF
        self.raw(c, by, t + (30 * US if by == c.gw_dir else c.rtt), ACK, b"")

    # ---- HTTP ---------------------------------------------------------
    def req(self, verb, path, host, body, extra):
        h = [f"{verb} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: python-httpx/0.28.1\r\n"
             f"Accept: application/json, text/event-stream\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n"]
        h += [f"{k}: {v}\r\n" for k, v in extra]
        if body is not None:
            h.append(f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n")
        h.append("\r\n")
        self.http_req += 1
        return "".join(h).encode() + (body or b"")

    REASON = {200: "OK", 202: "Accepted", 401: "Unauthorized", 500: "Internal Server Error",
              502: "Bad Gateway", 503: "Service Unavailable"}

    def resp(self, status, obj, extra=(), sse=False, gz=False, server="uvicorn"):
        """Bytes of one response. obj: None (empty) or bytes (JSON)."""
        h = f"HTTP/1.1 {status} {self.REASON[status]}\r\ndate: Thu, 09 Oct 2025 08:53:20 GMT\r\nserver: {server}\r\n"
        h += "".join(f"{k}: {v}\r\n" for k, v in extra)
        self.http_resp += 1
        if obj is None:
            return (h + "content-length: 0\r\n\r\n").encode()
        if sse:
            b = b"event: message\r\ndata: " + obj + b"\r\n\r\n"
            parts = [(h + "content-type: text/event-stream\r\ncache-control: no-cache, no-transform\r\n"
                          "transfer-encoding: chunked\r\n\r\n").encode()]
            for o in range(0, len(b), 16384):
                p = b[o:o + 16384]
                parts += [b"%x\r\n" % len(p), p, b"\r\n"]
            parts.append(b"0\r\n\r\n")
            return b"".join(parts)
        if gz:
            co = zlib.compressobj(1, zlib.DEFLATED, 31)
            obj = co.compress(obj) + co.flush()
            h += "content-encoding: gzip\r\nvary: Accept-Encoding\r\n"
        return (h + f"content-type: application/json\r\ncontent-length: {len(obj)}\r\n\r\n").encode() + obj

    def body_size(self):
        x = self.r.random()
        if self.a.body == "small":
            return self.r.randrange(150, 2000)
        if self.a.body == "big":
            return self.r.randrange(60_000, 200_000)
        if x < .70:
            return self.r.randrange(200, 3000)
        if x < .95:
            return self.r.randrange(3000, 30_000)
        return self.r.randrange(30_000, 200_000)

    # ---- upstream -----------------------------------------------------
    def up_conn(self, idx, ts, fresh):
        pool = self.pools.setdefault(idx, [])
        if not fresh and pool and pool[0][0] <= ts:
            return heapq.heappop(pool)[2]
        ip = bytes([10, 2, idx >> 8 & 255, idx & 255])
        port = 8000 if idx >= self.a.servers else 9000 + idx % 1000
        sp = self.port()
        return self.new_conn((self.gw4, sp), (ip, port), ts, 300 * US + self.r.randrange(4 * MS), False)

    def port(self):
        """Next source port of the gateway that no open connection uses."""
        while True:
            sp = self.next_port
            self.next_port = 20000 if sp >= 64000 else sp + 1
            if sp not in self.used:
                self.used.add(sp)
                return sp

    def up_done(self, idx, c, at, keep):
        if keep and len(self.pools[idx]) < 32:
            heapq.heappush(self.pools[idx], (at + 200 * US, c.serial, c))
        else:
            self.close(c, at + 150 * US, C2S)

    def up_call(self, c, ts, verb, path, host, body, hdrs, status, obj, svc, rid, method, **kw):
        """One upstream exchange on connection c. Returns (end ts, truth record)."""
        ts = max(ts, c.free_at)
        _, e = self.send(c, C2S, ts, self.req(verb, path, host, body, hdrs))
        t0 = e + c.rtt + svc
        if status == "reset":
            self.close(c, t0, S2C, rst=True)
            f2, e2, code = t0, t0, None
        else:
            f2, e2 = self.send(c, S2C, t0, self.resp(status, obj, **kw))
            code = status
        return e2, {"conn": self.name(c), "t_start": self.tm(ts), "t_end": self.tm(e2), "method": method,
                    "verb": verb, "path": path, "status": code, "reset": status == "reset", "rpc_id": rid}

    @staticmethod
    def ipstr(b):
        return ".".join(map(str, b)) if len(b) == 4 else "[" + ":".join(
            "%x" % int.from_bytes(b[i:i + 2], "big") for i in range(0, 16, 2)) + "]"

    def name(self, c):
        (a, p), (b, q) = c.ends
        return f"{self.ipstr(a)}:{p}>{self.ipstr(b)}:{q}"

    @staticmethod
    def tm(t):
        return f"{t // SEC}.{t % SEC // 1000:06d}"

    def jr(self, o):
        return json.dumps(o, separators=(",", ":")).encode()

    def svc(self):
        return int(self.r.expovariate(1 / self.a.upstream_ms) * MS) + MS // 2

    def session(self, ts, idx, cl, mode, call_method, call_obj, result_text, gz):
        """MCP upstream work for one server: returns (end, records, ok)."""
        r, a = self.r, self.a
        host = f"mcp-{idx}.internal:{9000 + idx % 1000}"
        tok = f"svc-{idx:04d}-shared" if r.random() < a.token_share else cl.up_token
        sid = "%032x" % r.getrandbits(128)
        base = [("Authorization", "Bearer " + tok), ("MCP-Protocol-Version", "2025-06-18")]
        c = self.up_conn(idx, ts, a.short_conns or r.random() > a.conn_reuse)
        recs, t, ok = [], max(ts, c.free_at), True
        reuse = mode != "401" and r.random() < a.session_reuse
        if not reuse:
            st = {"401": 401, "503": 503, "reset": "reset"}.get(mode, 200)
            body = self.jr({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
                "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "gateway", "version": "1.77.3"}}})
            if st == 200:
                obj = self.jr({"jsonrpc": "2.0", "id": 0, "result": {"protocolVersion": "2025-06-18", "capabilities": {
                    "tools": {"listChanged": False}}, "serverInfo": {"name": f"srv{idx}", "version": "1.0.0"}}})
                ex = [("mcp-session-id", sid)]
            else:
                obj = b'{"error":"invalid_token","error_description":"The access token expired"}' if st == 401 else b'{"error":"unavailable"}'
                ex = [("www-authenticate", 'Bearer error="invalid_token"')] if st == 401 else []
            t, rec = self.up_call(c, t, "POST", "/mcp", host, body, base, st, obj, self.svc(), 0, "initialize",
                                  extra=ex, sse=st == 200 and r.random() < a.sse)
            rec["server"], rec["shared_token"] = idx, tok.startswith("svc-")
            recs.append(rec)
            t += 300 * US
            if st != 200:
                if st != "reset":
                    self.up_done(idx, c, t, not a.short_conns)
                return t, recs, False
            base.append(("Mcp-Session-Id", sid))
            t, rec = self.up_call(c, t, "POST", "/mcp", host, b'{"jsonrpc":"2.0","method":"notifications/initialized"}',
                                  base, 202, None, self.svc() // 8, None, "notifications/initialized")
            rec["server"], rec["shared_token"] = idx, tok.startswith("svc-")
            recs.append(rec)
            t += 200 * US
        else:
            base.append(("Mcp-Session-Id", sid))
        st, obj = 200, None
        if reuse and mode in ("503", "reset"):
            st, ok = (503, False) if mode == "503" else ("reset", False)
            obj = b'{"error":"unavailable"}'
        body = self.jr(dict(call_obj, id=1))
        if st == 200:
            obj = b'{"jsonrpc":"2.0","id":1,"result":' + result_text(idx) + b"}"
        t, rec = self.up_call(c, t, "POST", "/mcp", host, body, base, st, obj, self.svc(), 1, call_method,
                              sse=st == 200 and r.random() < a.sse, gz=gz and st == 200)
        rec["server"], rec["shared_token"] = idx, tok.startswith("svc-")
        recs.append(rec)
        t += 200 * US
        if st != "reset":
            self.up_done(idx, c, t, not a.short_conns)
        return t, recs, ok

    def tools_json(self, idx):
        if idx not in self.tool_cache:
            rr = random.Random(self.a.seed * 1000 + idx)
            self.tool_cache[idx] = [{"name": f"srv{idx}-{rr.choice(self.vocab)}_{i}", "description": self.words[i * 97:i * 97 + rr.randint(60, 400)].replace("\\", ""),
                                     "inputSchema": {"type": "object", "properties": {rr.choice(self.vocab): {"type": "string"}}, "required": []}}
                                    for i in range(rr.randint(2, 14))]
        return self.tool_cache[idx]

    # ---- client requests ---------------------------------------------
    def client_step(self, cl, ts):
        """Run one client request; returns time the client is free again."""
        r, a = self.r, self.a
        self.cur_damaged = False
        if cl.conn is None:
            cl.port = cl.port + 1 if cl.port < 64000 else 20000
            cl.conn = self.new_conn((cl.ip, cl.port), (self.gw6 if cl.v6 else self.gw4, 4000), ts, cl.rtt, True)
        c = cl.conn
        t = max(ts, c.free_at) + 2 * US
        rid = cl.rpc
        hdrs = [("x-litellm-api-key", "Bearer " + cl.key)]
        if a.forward_token:
            hdrs.append(("Authorization", "Bearer " + cl.up_token))
        if cl.sid:
            hdrs.append(("mcp-session-id", cl.sid))
        name, ups, cause, partial, status, sse, gz, rst = self.name(c), [], None, False, 200, False, False, False
        verdict = "ok"
        if r.random() < a.llm:
            end, rec = self.llm(cl, c, t, hdrs)
        else:
            if cl.state == 0:
                method = "initialize"
            elif cl.state == 1:
                method = "notifications/initialized"
            elif cl.state == 2 or r.random() < .25:
                method = "tools/list"
            else:
                method = "tools/call"
            tool = None
            mode = "ok"
            if method.startswith("tools/"):
                x = r.random()
                if x < a.masked + a.surfaced:
                    mode = r.choices(self.mix, self.mixw)[0][0]
                    verdict = "masked" if x < a.masked else "surfaced"
                    cause = mode
            if method == "initialize":
                obj = {"jsonrpc": "2.0", "id": rid, "method": method, "params": {"protocolVersion": "2025-06-18",
                       "capabilities": {"sampling": {}}, "clientInfo": {"name": "agent", "version": "0.9"}}}
            elif method == "notifications/initialized":
                obj = {"jsonrpc": "2.0", "method": method}
            elif method == "tools/list":
                obj = {"jsonrpc": "2.0", "id": rid, "method": method, "params": {}}
            else:
                idx = r.randrange(a.servers)
                tool = r.choice(self.tools_json(idx))["name"]
                arg = self.body_size() if r.random() < .15 else r.randrange(100, 1200)
                obj = {"jsonrpc": "2.0", "id": rid, "method": method,
                       "params": {"name": tool, "arguments": {"query": "@@"}, "_meta": {"progressToken": rid}}}
            body = self.jr(obj)
            if tool:
                argtext = self.text(arg).encode()
                body = body.replace(b"@@", argtext)
            t_start = t
            _, e = self.send(c, C2S, t, self.req("POST", "/mcp", "gateway.internal:4000", body, hdrs))
            tg = e + 150 * US + r.randrange(800 * US)          # gateway think time
            result = None
            if method == "initialize":
                cl.sid = "%032x" % r.getrandbits(128)
                result = self.jr({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "litellm-mcp-server", "version": "1.0.0"}})
                tend = tg
            elif method == "notifications/initialized":
                tend, status = tg, 202
            elif method == "tools/list":
                k = r.randint(1, max(1, min(a.fanout, a.servers)))
                srv = r.sample(range(a.servers), k)
                bad = srv[r.randrange(k)] if mode != "ok" else None
                tend, tools = tg, []
                for i, idx in enumerate(srv):
                    none = a.empty > 0 and r.random() < a.empty
                    e2, recs, ok = self.session(tg + i * 120 * US, idx, cl, mode if idx == bad else "ok", method, obj,
                                                lambda q: self.jr({"tools": [] if none else self.tools_json(q)}), False)
                    ups += recs
                    tend = max(tend, e2)
                    if ok and not none:
                        tools += self.tools_json(idx)
                partial = bad is not None and verdict == "masked" and bool(tools)
                result = self.jr({"tools": tools})
            else:
                size = self.body_size()
                txt = self.text(size).encode()
                content = b'{"content":[{"type":"text","text":"' + txt + b'"}],"isError":false}'
                call = {"jsonrpc": "2.0", "method": method, "params": {"name": tool.split("-", 1)[1], "arguments": {"query": argtext.decode()}}}
                gz = r.random() < a.gzip and size > 1500
                tend, ups, ok = self.session(tg, idx, cl, mode, method, call, lambda q: content, gz)
                result = content if ok else b'{"content":[],"isError":false}'
            tend += 200 * US + r.randrange(600 * US)
            if verdict == "surfaced":
                if r.random() < .5:
                    status, payload = 502, b'{"error":{"message":"upstream MCP server failed","code":"502"}}'
                else:
                    payload = b'{"jsonrpc":"2.0","id":%d,"error":{"code":-32603,"message":"upstream failure: %s"}}' % (rid, mode.encode())
            elif status == 202:
                payload = None
            else:
                payload = b'{"jsonrpc":"2.0","id":%d,"result":' % rid + result + b"}"
            sse = status == 200 and r.random() < a.sse
            gzd = status == 200 and not sse and payload and len(payload) > 1500 and r.random() < a.gzip
            ex = [("mcp-session-id", cl.sid)] if cl.sid and method == "initialize" else []
            tr, te = self.send(c, S2C, max(tend, c.free_at), self.resp(status, payload, extra=ex, sse=sse, gz=gzd))
            end = te
            rec = {"kind": "mcp", "conn": name, "t_start": self.tm(t_start), "t_resp": self.tm(tr), "t_end": self.tm(te),
                   "verb": "POST", "path": "/mcp", "status": status, "method": method, "rpc_id": rid if method[0] != "n" else None,
                   "tool": tool, "sse": sse, "gzip": bool(gzd), "verdict": verdict, "cause": cause, "partial": partial, "upstream": ups}
            cl.rpc += 1
            cl.state = min(cl.state + 1, 3)
        self.rid += 1
        rec["id"] = self.rid
        rec["damaged"] = self.cur_damaged
        self.counts[rec["verdict"]] = self.counts.get(rec["verdict"], 0) + 1
        self.truth.write(json.dumps(rec, separators=(",", ":")) + "\n")
        if a.short_conns:
            self.close(c, end + cl.rtt + 50 * US, C2S)
            cl.conn = None
        elif r.random() < .004:                              # client goes away; a new session follows
            self.close(c, end + cl.rtt + 50 * US, C2S, rst=r.random() < .3)
            cl.conn, cl.state, cl.sid = None, 0, None
        return end + cl.rtt

    def llm(self, cl, c, t, hdrs):
        """Chat completion, token stream proxied segment by segment."""
        r, a = self.r, self.a
        idx = a.servers + r.randrange(a.llm_servers)
        prompt = self.text(r.randrange(300, 12_000)).encode()
        body = b'{"model":"llama-3.3-70b","stream":true,"messages":[{"role":"user","content":"' + prompt + b'"}]}'
        t_start = t
        _, e = self.send(c, C2S, t, self.req("POST", "/v1/chat/completions", "gateway.internal:4000", body, hdrs))
        tg = e + 300 * US
        u = self.up_conn(idx, tg, a.short_conns or r.random() > a.conn_reuse)
        ts = max(tg, u.free_at)
        _, e2 = self.send(u, C2S, ts, self.req("POST", "/v1/chat/completions", f"llm-{idx}.internal:8000", body,
                                               [("Authorization", "Bearer sk-llm-shared")]))
        head = ("HTTP/1.1 200 OK\r\ndate: Thu, 09 Oct 2025 08:53:20 GMT\r\nserver: uvicorn\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
                "transfer-encoding: chunked\r\n\r\n").encode()
        self.http_resp += 2
        up_t = e2 + u.rtt + self.svc() * 2
        dn_t = up_t + 250 * US
        cid = "chatcmpl-%032x" % r.getrandbits(128)
        n = max(3, int(r.expovariate(1 / a.llm_tokens)))
        self.send(u, S2C, up_t, head)
        first_dn, _ = self.send(c, S2C, dn_t, head)
        eu = ed = dn_t
        gap = a.token_us * US
        pre = '{"id":"%s","object":"chat.completion.chunk","created":1760000000,"model":"llama-3.3-70b","choices":[{"index":0,"delta":{"content":"' % cid
        for i in range(n + 1):
            if i < n:
                d = ("data: " + pre + r.choice(self.vocab) + ' "},"logprobs":null,"finish_reason":null}]}\n\n').encode()
                ch = b"%x\r\n%b\r\n" % (len(d), d)
            else:
                ch = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
            up_t = max(up_t + int(gap * (.4 + 1.2 * r.random())), u.free_at)
            _, eu = self.send(u, S2C, up_t, ch, piggy=False)
            dn_t = max(eu + 120 * US, c.free_at)
            _, ed = self.send(c, S2C, dn_t, ch, piggy=False)
        self.up_done(idx, u, max(eu, u.free_at) + u.rtt, not a.short_conns)
        up = {"conn": self.name(u), "t_start": self.tm(ts), "t_end": self.tm(eu), "method": None, "verb": "POST",
              "path": "/v1/chat/completions", "status": 200, "reset": False, "rpc_id": None, "server": idx, "shared_token": True}
        return ed, {"kind": "llm", "conn": self.name(c), "t_start": self.tm(t_start), "t_resp": self.tm(first_dn), "t_end": self.tm(ed),
                    "verb": "POST", "path": "/v1/chat/completions", "status": 200, "method": None, "rpc_id": None, "tool": None,
                    "sse": True, "gzip": False, "verdict": "not_mcp", "cause": None, "partial": False, "upstream": [up]}

    # ---- noise --------------------------------------------------------
    def noise(self, ts):
        r = self.r
        before = self.emitted
        if r.random() < .5:                                   # DNS
            q = struct.pack("!HHHHHH", r.getrandbits(16), 0x100, 1, 0, 0, 0) + b"".join(
                bytes([len(w)]) + w.encode() for w in (r.choice(self.vocab), "internal", "lan")) + b"\0\0\1\0\1"
            sp = 30000 + r.randrange(20000)
            for out, d, t in ((True, q, ts), (False, q[:2] + b"\x81\x80" + q[4:6] + b"\0\1" + q[8:] +
                                              b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\2\0\1", ts + 700 * US)):
                s, t2 = (self.gw4, bytes([10, 0, 0, 53]))[:: 1 if out else -1]
                ul = 8 + len(d)
                ports = (sp, 53) if out else (53, sp)
                p = s + t2 + struct.pack("!HH", 17, ul) + struct.pack("!HHHH", *ports, ul, 0) + d
                ck = 65535 - int.from_bytes(p if not len(p) & 1 else p + b"\0", "big") % 65535
                ih = struct.pack("!BBHHHBBH", 0x45, 0, ul + 20, r.getrandbits(16), 0, 64, 17, 0) + s + t2
                x = int.from_bytes(ih, "big") % 65535
                ih = ih[:10] + (65535 - x if x else 0).to_bytes(2, "big") + ih[12:]
                self.emit(t, self.l2(out, False) + ih + struct.pack("!HHHH", *ports, ul, ck or 65535) + d)
        else:                                                 # TLS-looking
            sp = self.port()
            c = self.new_conn((self.gw4, sp), (bytes([93, 184, 216, r.randrange(1, 250)]), 443), ts, 12 * MS, False)
            hello = b"\x03\x03" + r.randbytes(32) + b"\x20" + r.randbytes(32) + b"\0\6\x13\1\x13\2\x13\3\1\0"
            _, e = self.send(c, C2S, c.free_at, b"\x16\x03\x01" + struct.pack("!HI", len(hello) + 4, len(hello) | 1 << 24) + hello)
            hello = b"\x03\x03" + r.randbytes(32) + b"\x20" + r.randbytes(32) + b"\x13\1\0"
            _, e = self.send(c, S2C, e + 13 * MS, b"\x16\x03\x03" + struct.pack("!HI", len(hello) + 4, len(hello) | 2 << 24) + hello + b"\x14\x03\x03\0\1\1")
            for _ in range(r.randint(1, 6)):
                m = r.randrange(200, 1800)
                _, e = self.send(c, C2S, e + 2 * MS, b"\x17\x03\x03" + struct.pack("!H", m) + r.randbytes(m))
                m = r.randrange(500, 16000)
                _, e = self.send(c, S2C, e + 20 * MS, b"\x17\x03\x03" + struct.pack("!H", m) + r.randbytes(m))
            self.close(c, e + 15 * MS, C2S)
        self.noise_bytes += self.emitted - before

    # ---- main loop ----------------------------------------------------
    def run(self):
        a, r = self.a, self.r
        self.tool_cache = {}
        cls, heap = [], []
        for i in range(a.clients):
            cl = Client()
            cl.v6 = r.random() < a.ipv6
            cl.ip = bytes.fromhex("fd000000000000010000%012x" % (i + 1)) if cl.v6 else bytes([10, 1, (i // 250) & 255, 2 + i % 250])
            cl.rtt = 200 * US + r.randrange(8 * MS)
            cl.port = 20000 + r.randrange(40000)
            cl.key = "sk-%040x" % r.getrandbits(160)
            cl.up_token = "usr-%048x" % r.getrandbits(192)
            cl.conn, cl.sid, cl.state, cl.rpc = None, None, 0, 1
            cls.append(cl)
            heap.append((BASE_T + r.randrange(int(max(a.think_ms, 5) * MS * 2)), i))
        heapq.heapify(heap)
        steps = 0
        last = BASE_T
        while heap:
            ts, i = heapq.heappop(heap)
            last = ts
            steps += 1
            if steps & 63 == 0 and len(self.buf) > 40000:
                self.flush(ts)
            if self.emitted >= self.target or (a.requests and self.rid >= a.requests):
                break
            if a.noise and self.noise_bytes < a.noise * self.emitted:
                self.noise(ts)
            end = self.client_step(cls[i], ts)
            heapq.heappush(heap, (end + int(r.expovariate(1 / max(a.think_ms, .001)) * MS), i))
        for cl in cls:                                        # close what is open
            if cl.conn is not None:
                self.close(cl.conn, max(last, cl.conn.free_at) + 5 * MS + cl.rtt, C2S)
        for pool in self.pools.values():
            for at, _, c in sorted(pool, key=lambda x: (x[0], x[1])):
                self.close(c, max(last, at, c.free_at) + 9 * MS, C2S)
        end_t = max((b[0] for b in self.buf), default=last)
        self.flush(None)
        self.pcap.close()
        self.truth.close()
        s = {"seed": a.seed, "args": {k: v for k, v in sorted(vars(a).items()) if k != "out"}, "pcap_bytes": self.nbytes,
             "packets": self.npk, "tcp_connections": self.conns, "http_requests": self.http_req,
             "http_responses": self.http_resp, "client_requests": self.rid, "verdicts": self.counts,
             "seconds": round((end_t - BASE_T) / SEC, 3), "wire_lost": self.lost, "reordered": self.reord,
             "duplicated": self.dupd, "capture_dropped": self.drop, "noise_bytes": self.noise_bytes}
        with open(a.out + ".summary.json", "w") as f:
            json.dump(s, f, indent=1, sort_keys=True)
            f.write("\n")
        return s


class Conn:
    __slots__ = ("serial", "ends", "v6", "rtt", "mss", "gw_dir", "seq", "hdr", "free_at")


class Client:
    __slots__ = ("v6", "ip", "rtt", "port", "key", "up_token", "conn", "sid", "state", "rpc")


if __name__ == "__main__":
    g = Gen(parse_args())
    json.dump(g.run(), sys.stdout, indent=1, sort_keys=True)
    print()
