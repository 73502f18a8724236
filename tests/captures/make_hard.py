#!/usr/bin/env python3
"""Writes captures/hard/*.pcap: small dialogues in which reading TCP and HTTP is hard. Standard library only; the same bytes each time.

    python3 tests/captures/make_hard.py
"""

import gzip
import pathlib
import struct

OUT = pathlib.Path(__file__).resolve().parents[2] / "captures" / "hard"
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
START = 1_790_000_000_000_000


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(src, dst, payload, proto=6, ident=0, fragment=0x4000, length=None, ttl=64):
    length = 20 + len(payload) if length is None else length
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, length, ident, fragment, ttl, proto, 0, bytes(src), bytes(dst))
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ipv6(src, dst, payload, proto=6):
    return struct.pack(">IHBB16s16s", 6 << 28, len(payload), proto, 64, src, dst) + payload


def ether(payload, kind=0x0800):
    return bytes.fromhex("020000000002020000000001") + struct.pack(">H", kind) + payload


def udp(src, dst, payload):
    return struct.pack(">HHHH", src, dst, 8 + len(payload), 0) + payload


class Capture:
    """A classic pcap file in the making. Each packet comes a millisecond after the one before."""

    def __init__(self, name, link=1, snap=65535):
        self.name, self.link, self.snap, self.time = name, link, snap, START
        self.out = bytearray(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snap, link))

    def frame(self, frame, wait=1_000):
        self.time += wait
        kept = frame[: self.snap]
        self.out += struct.pack("<IIII", self.time // 1_000_000, self.time % 1_000_000, len(kept), len(frame)) + kept

    def close(self):
        OUT.mkdir(exist_ok=True)
        (OUT / f"{self.name}.pcap").write_bytes(self.out)


class Talk:
    """One TCP connection. What it sends goes to `wrap`, which makes frames of IP packets."""

    def __init__(self, capture, port, seq=1000, ack=900_000, wrap=None, server=80, opened=True, v6=False):
        self.capture, self.port, self.server, self.v6 = capture, port, server, v6
        self.wrap = wrap or (lambda ip, c: [ether(ip, 0x86DD if v6 else 0x0800)])
        self.seq = {"c": seq, "s": ack}
        if opened:
            self.raw("c", SYN)
            self.step("c", 1)
            self.raw("s", SYN | ACK)
            self.step("s", 1)
            self.raw("c", ACK)

    def step(self, side, n):
        self.seq[side] = (self.seq[side] + n) & 0xFFFFFFFF

    def packet(self, side, flags, data=b"", seq=None, ack=None, window=64240, bad=False):
        other = "s" if side == "c" else "c"
        ports = (self.port, self.server) if side == "c" else (self.server, self.port)
        seq = self.seq[side] if seq is None else seq & 0xFFFFFFFF
        ack = self.seq[other] if ack is None else ack & 0xFFFFFFFF
        options = b"\x02\x04\x05\xb4" if flags & SYN else b""
        head = struct.pack(">HHIIBBHHH", *ports, seq, ack if flags & ACK else 0, (5 + len(options) // 4) << 4, flags, window, 0, 0)
        tcp = head + options + data
        if self.v6:
            ends = [bytes.fromhex("fd00" + "00" * 13 + "01"), bytes.fromhex("fd00" + "00" * 13 + "02")]
        else:
            ends = [bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])]
        src, dst = ends if side == "c" else ends[::-1]
        pseudo = src + dst + struct.pack(">IHH" if self.v6 else ">BBH", *((len(tcp), 0, 6) if self.v6 else (0, 6, len(tcp))))
        total = checksum(pseudo + tcp) ^ (0x1234 if bad else 0)
        tcp = tcp[:16] + struct.pack(">H", total) + tcp[18:]
        return ipv6(src, dst, tcp) if self.v6 else ipv4(src, dst, tcp)

    def raw(self, side, flags, data=b"", wait=1_000, **how):
        for frame in self.wrap(self.packet(side, flags, data, **how), self.capture):
            self.capture.frame(frame, wait)

    def send(self, side, data, size=1460, lose=(), acked=True, **how):
        """Data in segments; those whose number is in `lose` are not captured."""
        data = data.encode("latin-1") if isinstance(data, str) else data
        for n, at in enumerate(range(0, len(data), size)):
            piece = data[at : at + size]
            if n not in lose:
                self.raw(side, PSH | ACK, piece, **how)
            self.step(side, len(piece))
        if acked:
            self.raw("s" if side == "c" else "c", ACK)

    def c(self, data, **how):
        self.send("c", data, **how)

    def s(self, data, **how):
        self.send("s", data, **how)

    def fin(self, side):
        self.raw(side, FIN | ACK)
        self.step(side, 1)
        self.raw("s" if side == "c" else "c", ACK)

    def end(self, first="c"):
        self.fin(first)
        self.fin("s" if first == "c" else "c")


def get(path, *lines, method="GET", version="1.1"):
    return f"{method} {path} HTTP/{version}\r\n" + "".join(line + "\r\n" for line in ("Host: h", *lines)) + "\r\n"


def ok(body="", *lines, status="200 OK", version="1.1", length=None):
    length = len(body) if length is None else length
    head = f"HTTP/{version} {status}\r\n" + "".join(line + "\r\n" for line in lines)
    return head + (f"Content-Length: {length}\r\n" if length != "" else "") + "\r\n" + body


def h2_frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + payload


CASES = []


def case(function):
    CASES.append(function)
    return function


def simple(name):
    """A capture with one open connection."""
    capture = Capture(name)
    return capture, Talk(capture, 40000)


@case
def pipelining():
    capture, t = simple("pipelining")
    t.c(get("/one") + get("/two", "Content-Length: 3", method="POST") + "abc" + get("/three"))
    answers = ok("first") + ok("second", status="404 Not Found") + ok("third")
    t.s(answers, size=50)
    t.end()
    return capture


@case
def chunks():
    capture, t = simple("chunks")
    t.c(get("/upload", "Transfer-Encoding: chunked", "Trailer: Digest", method="POST"))
    t.c('5;name=value;other="quo;ted\\""\r\nhello\r\n1 ;x\r\n!\r\n000000\r\nDigest: abc\r\n\r\n', size=3)
    t.s("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0;last\r\nX-Trailer: HTTP/1.1 500 No\r\n\r\n", size=7)
    t.c(get("/after"))
    t.s(ok("end"))
    t.end()
    return capture


@case
def close_delimited():
    capture, t = simple("close-delimited")
    t.c(get("/stream"))
    t.s("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfirst part, ")
    t.s("HTTP/1.1 500 this is part of the body\r\n\r\n")
    t.end("s")
    return capture


@case
def continue_100():
    capture, t = simple("continue-100")
    t.c(get("/big", "Content-Length: 4", "Expect: 100-continue", method="PUT"))
    t.s("HTTP/1.1 100 Continue\r\n\r\n")
    t.c("body")
    t.s("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok("made", status="201 Created"))
    t.c(get("/refused", "Content-Length: 4", "Expect: 100-continue", method="PUT"))
    t.s(ok("", status="417 Expectation Failed"))
    t.end()
    return capture


@case
def head():
    capture, t = simple("head")
    t.c(get("/a", method="HEAD"))
    t.s(ok("", length=5000))
    t.c(get("/b", method="HEAD"))
    t.s("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    t.c(get("/c"))
    t.s(ok("body"))
    t.end()
    return capture


@case
def no_content():
    capture, t = simple("no-content")
    t.c(get("/204") + get("/304", 'If-None-Match: "x"') + get("/205") + get("/200"))
    t.s(ok("", status="204 No Content", length="") + ok("", status="304 Not Modified", length=77) + ok("", status="205 Reset Content") + ok("x"))
    t.end()
    return capture


@case
def overlap_conflict():
    capture, t = simple("overlap-conflict")
    request = get("/seen-first").encode()
    at = t.seq["c"]
    t.raw("c", PSH | ACK, request[:4])
    t.raw("c", PSH | ACK, request[4:12], seq=at + 4)
    # The same places again with other bytes, and new ones behind them.
    t.raw("c", PSH | ACK, b"PUT /then-t" + request[11:], seq=at)
    t.raw("c", PSH | ACK, b"EVIL" * 3, seq=at + 5)
    t.step("c", len(request))
    t.raw("s", ACK)
    t.s(ok("done"))
    t.end()
    return capture


@case
def overlap_waiting():
    capture, t = simple("overlap-waiting")
    request = get("/aaaa").encode()
    at = t.seq["c"]
    # Both versions wait behind a hole when the hole is filled.
    t.raw("c", PSH | ACK, request[4:12], seq=at + 4)
    t.raw("c", PSH | ACK, b"/bbbbbbb" + request[12:], seq=at + 4)
    t.raw("c", PSH | ACK, request[:4], seq=at)
    t.step("c", len(request))
    t.raw("s", ACK)
    t.s(ok("done"))
    t.end()
    return capture


@case
def sequence_wrap():
    capture = Capture("sequence-wrap")
    t = Talk(capture, 40000, seq=0xFFFFFFE0, ack=0xFFFFFFFF)
    for n in range(3):
        t.c(get(f"/{n}"), size=20)
        t.s(ok("x" * 40), size=33)
    t.end()
    return capture


@case
def fin_early():
    capture, t = simple("fin-early")
    t.c(get("/a"))
    body = ok("0123456789" * 20, "Connection: close").encode()
    at = t.seq["s"]
    t.raw("s", FIN | ACK, seq=at + len(body))
    t.raw("s", PSH | ACK, body[100:], seq=at + 100)
    t.raw("s", PSH | ACK, body[:100], seq=at)
    t.step("s", len(body) + 1)
    t.raw("c", ACK)
    t.fin("c")
    return capture


@case
def swapped():
    capture, t = simple("swapped")
    at = t.seq["c"]
    one, two = get("/one").encode(), get("/two").encode()
    t.raw("c", PSH | ACK, two, seq=at + len(one))
    t.raw("c", PSH | ACK, one, seq=at)
    t.step("c", len(one + two))
    t.raw("s", ACK)
    # The answer to the second is captured before that to the first.
    first, second = ok("1").encode(), ok("2", status="403 Forbidden").encode()
    at = t.seq["s"]
    t.raw("s", PSH | ACK, second, seq=at + len(first))
    t.raw("s", PSH | ACK, first, seq=at)
    t.step("s", len(first + second))
    t.raw("c", ACK)
    t.end()
    return capture


@case
def answer_first():
    capture, t = simple("answer-first")
    # The capture holds the answer before the request it answers.
    request, answer = get("/late").encode(), ok("x").encode()
    t.raw("s", PSH | ACK, answer, ack=t.seq["c"] + len(request))
    t.raw("c", PSH | ACK, request)
    t.step("c", len(request))
    t.step("s", len(answer))
    t.raw("c", ACK)
    t.c(get("/next"))
    t.s(ok("y"))
    t.end()
    return capture


@case
def missing_syn():
    capture = Capture("missing-syn")
    t = Talk(capture, 40000, opened=False)
    t.c(get("/whole"))
    t.s(ok("x"))
    t.end()
    u = Talk(capture, 40001, opened=False)
    u.c("n the middle of a body\r\n")
    u.s(ok("answer to what was not seen"))
    u.c(get("/next"))
    u.s(ok("y"))
    u.end()
    v = Talk(capture, 40002, opened=False)
    v.s("the tail of an answer, and then\r\n")
    v.c(get("/third"))
    v.s(ok("z"))
    v.end()
    return capture


@case
def probes():
    capture, t = simple("probes")
    t.c(get("/a"))
    t.s(ok("x"))
    for _ in range(3):
        t.raw("c", ACK, b"", seq=t.seq["c"] - 1, wait=15_000_000)
        t.raw("s", ACK)
        t.raw("s", ACK, b"\0", seq=t.seq["s"] - 1)
        t.raw("c", ACK)
    t.c(get("/b"))
    t.raw("c", ACK, window=0)
    t.raw("s", ACK, b"H", wait=5_000)
    t.raw("c", ACK, window=0)
    t.s(ok("y"))
    t.end()
    return capture


@case
def reset():
    capture, t = simple("reset")
    t.c(get("/cut"))
    t.s("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
    t.raw("s", RST | ACK)
    u = Talk(capture, 40001)
    u.c(get("/never"))
    u.raw("s", RST)
    return capture


@case
def bare_lf():
    capture, t = simple("bare-lf")
    t.c("POST /lf HTTP/1.1\nHost: h\nContent-Length: 2\n\nhi")
    t.s("HTTP/1.1 200 OK\nContent-Length: 3\r\n\nyes")
    t.c("\r\n\r\n" + get("/after-empty-lines"))
    t.s(ok("x"))
    t.end()
    return capture


@case
def folded():
    capture, t = simple("folded")
    t.c("GET /fold HTTP/1.1\r\nHost: h\r\nX-Long: one\r\n two\r\n\tthree\r\nContent-Length:\r\n 4\r\n\r\nbody")
    t.s("HTTP/1.1 200 OK\r\nContent-Type: text/plain;\r\n charset=utf-8\r\nContent-Length: 2\r\n\r\nok")
    t.c(get("/after"))
    t.s(ok("x"))
    t.end()
    return capture


@case
def body_on_get():
    capture, t = simple("body-on-get")
    body = "GET /not-a-request HTTP/1.1\r\n\r\n"
    t.c(get("/a", f"Content-Length: {len(body)}") + body)
    t.s(ok("x"))
    t.c(get("/b", "Content-Length: 2", method="DELETE") + "no")
    t.s(ok("y"))
    t.end()
    return capture


@case
def wrong_length():
    capture, t = simple("wrong-length")
    t.c(get("/too-short"))
    t.s(ok("12345 and more than was announced", length=5))
    t.c(get("/after"))
    t.s(ok("x"))
    t.end()
    u = Talk(capture, 40001)
    u.c(get("/too-long"))
    u.s(ok("12345", length=500))
    u.end("s")
    v = Talk(capture, 40002)
    v.c(get("/twice"))
    v.s("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n12345")
    v.c(get("/and"))
    v.s("HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n123")
    v.end()
    return capture


@case
def contradiction():
    capture, t = simple("contradiction")
    # RFC 9112, 6.3: the transfer coding wins over the length. Read by length, the body would be a request of its own.
    smuggled = "0\r\n\r\n" + get("/behind")
    t.c(get("/both", f"Content-Length: {len(smuggled)}", "Transfer-Encoding: chunked", method="POST") + smuggled)
    t.s(ok("1") + ok("2"))
    t.end()
    return capture


@case
def connect():
    capture, t = simple("connect")
    t.c("CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n")
    t.s("HTTP/1.1 200 Connection established\r\n\r\n")
    t.c(bytes.fromhex("16030100050100000100"))
    t.s("GET /inside HTTP/1.1\r\n\r\n")
    t.end()
    u = Talk(capture, 40001)
    u.c("CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n")
    u.s(ok("no", status="403 Forbidden"))
    u.c(get("/still-http"))
    u.s(ok("x"))
    u.end()
    return capture


@case
def websocket():
    capture, t = simple("websocket")
    t.c(get("/plain"))
    t.s(ok("x"))
    t.c(get("/socket", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"))
    t.s("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
    t.s(b"\x81\x05Hello")
    t.c(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")
    t.end()
    return capture


@case
def one_sided():
    capture = Capture("one-sided")
    t = Talk(capture, 40000)
    t.raw("s", ACK, ack=t.seq["c"] + 100)
    t.step("c", 100)
    t.s(ok("nobody was seen asking") + ok("again", status="500 Oops"))
    t.end()
    u = Talk(capture, 40001)
    u.c(get("/asked-only"))
    u.c(get("/and-again"))
    u.end()
    return capture


@case
def http10():
    capture, t = simple("http10")
    t.c(get("/kept", "Connection: keep-alive", version="1.0"))
    t.s(ok("x", "Connection: keep-alive", version="1.0"))
    t.c(get("/closed", version="1.0"))
    t.s("HTTP/1.0 200 OK\r\n\r\nuntil the end")
    t.end("s")
    u = Talk(capture, 40001)
    u.c("GET /no-headers HTTP/1.0\r\n\r\n")
    u.s("HTTP/1.0 404\r\n\r\n")
    u.end("s")
    return capture


@case
def strange_lines():
    capture, t = simple("strange-lines")
    t.c("PROPFIND http://h:80/dav?depth=1 HTTP/1.1\r\nHost: h\r\n\r\n")
    t.s("HTTP/1.1 207 \r\nContent-Length: 1\r\n\r\nx")
    t.c("OPTIONS * HTTP/1.1\r\nHost: h\r\nX-Space : before the colon\r\nno colon at all\r\n\r\n")
    t.s("HTTP/1.1 299 Gr\xfc\xdfe aus dem Netz\r\nContent-Length: 0\r\n\r\n")
    t.c(get("/" + "a" * 3000))
    t.s(ok("", status="414 URI Too Long"))
    t.end()
    return capture


@case
def lost_pieces():
    capture = Capture("lost-pieces")
    body, t = "b" * 3000, Talk(capture, 40000)
    # A hole in a body whose length is known: reading goes on behind it.
    t.c(get("/hole-in-body"))
    t.s(ok(body), size=1000, lose={1})
    t.c(get("/after"))
    t.s(ok("x"))
    t.end()
    # A hole in a request's head.
    u = Talk(capture, 40001)
    u.c(get("/" + "p" * 60), size=30, lose={1})
    u.s(ok("x"))
    u.c(get("/after"))
    u.s(ok("y"))
    u.end()
    # A whole exchange is missing between two others.
    v = Talk(capture, 40002)
    v.c(get("/first"))
    v.s(ok("x"))
    v.c(get("/lost"), lose={0})
    v.s(ok("lost"), lose={0})
    v.c(get("/third"))
    v.s(ok("z"))
    v.end()
    return capture


@case
def port_reuse():
    capture = Capture("port-reuse")
    for n, seq in enumerate((1000, 5_000_000, 70_000)):
        t = Talk(capture, 40000, seq=seq, ack=seq + 7)
        t.c(get(f"/{n}"))
        t.s(ok("x"))
        if n == 0:
            t.end()
    return capture


@case
def both_close():
    capture, t = simple("both-close")
    t.c(get("/a"))
    t.s(ok("x"))
    t.raw("c", FIN | ACK)
    t.raw("s", FIN | ACK)
    t.step("c", 1)
    t.step("s", 1)
    t.raw("c", ACK)
    t.raw("s", ACK)
    return capture


@case
def repeated():
    capture, t = simple("repeated")
    for n in range(3):
        request = get(f"/{n}").encode()
        at = t.seq["c"]
        t.c(request, size=25)
        t.raw("c", PSH | ACK, request, seq=at)
        t.raw("s", ACK)
        answer = ok("y" * 100).encode()
        at = t.seq["s"]
        t.s(answer, size=60)
        t.raw("s", PSH | ACK, answer[10:90], seq=at + 10)
    t.end()
    return capture


@case
def bytewise():
    capture, t = simple("bytewise")
    t.c(get("/every-byte-alone", "Content-Length: 2", method="POST") + "ab", size=1, acked=False)
    t.s("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", size=1, acked=False)
    t.end()
    return capture


@case
def codings():
    capture, t = simple("codings")
    packed = gzip.compress(b'{"tools":[]}', mtime=0)
    t.c(get("/gzip"))
    t.s(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed)
    t.c(get("/gzip-chunked"))
    t.s(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(packed) + packed + b"\r\n0\r\n\r\n")
    t.c(get("/te-gzip"))
    t.s(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n%x\r\n" % len(packed) + packed + b"\r\n0\r\n\r\n")
    t.c(get("/spoilt"))
    t.s(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip.")
    t.c(get("/after"))
    t.s(ok("x"))
    t.end()
    return capture


@case
def layers():
    """The same exchange through every layer, each on a client port of its own."""
    capture = Capture("layers")
    outer = (bytes([192, 168, 0, 1]), bytes([192, 168, 0, 2]))
    six = (bytes.fromhex("fd01" + "00" * 13 + "01"), bytes.fromhex("fd01" + "00" * 13 + "02"))
    inner = lambda ip: ether(ip)
    wraps = {
        "vlan": lambda ip: ether(struct.pack(">HH", 42, 0x0800) + ip, 0x8100),
        "qinq": lambda ip: ether(struct.pack(">HHHH", 7, 0x8100, 42, 0x0800) + ip, 0x88A8),
        "mpls": lambda ip: ether(struct.pack(">II", 16 << 12 | 64, 17 << 12 | 0x100 | 64) + ip, 0x8847),
        "pppoe": lambda ip: ether(struct.pack(">BBHHH", 0x11, 0, 1, len(ip) + 2, 0x0021) + ip, 0x8864),
        "gre": lambda ip: ether(ipv4(*outer, struct.pack(">HH", 0, 0x0800) + ip, 47)),
        "gre-key": lambda ip: ether(ipv4(*outer, struct.pack(">HHI", 0x2000, 0x6558, 9) + inner(ip), 47)),
        "vxlan": lambda ip: ether(ipv4(*outer, udp(50000, 4789, struct.pack(">II", 0x08000000, 5 << 8) + inner(ip)), 17)),
        "geneve": lambda ip: ether(ipv4(*outer, udp(50000, 6081, struct.pack(">BBHI", 0, 0, 0x6558, 5 << 8) + inner(ip)), 17)),
        "ipip": lambda ip: ether(ipv4(*outer, ip, 4)),
        "4in6": lambda ip: ether(ipv6(*six, ip, 4), 0x86DD),
        "offload": lambda ip: ether(ip[:2] + b"\0\0" + ip[4:]),
        "padding": lambda ip: ether(ip) + b"\xee" * max(0, 46 - len(ip)),
        "snap": lambda ip: bytes.fromhex("020000000002020000000001") + struct.pack(">H", len(ip) + 8) + bytes.fromhex("aaaa03000000") + struct.pack(">H", 0x0800) + ip,
    }
    for n, (name, wrap) in enumerate(wraps.items()):
        t = Talk(capture, 41000 + n, wrap=lambda ip, c, wrap=wrap: [wrap(ip)])
        t.c(get(f"/{name}"))
        t.s(ok("x"))
        t.end()
    return capture


@case
def ipv6_options():
    capture = Capture("ipv6-options")
    chain = lambda ip: ip[:4] + struct.pack(">H", len(ip) - 40 + 16) + b"\0" + ip[7:40] + b"\x3c\0\x01\x04\0\0\0\0" + b"\x06\0\x01\x04\0\0\0\0" + ip[40:]
    t = Talk(capture, 40000, v6=True, wrap=lambda ip, c: [ether(chain(ip), 0x86DD)])
    t.c(get("/options"))
    t.s(ok("x"))
    t.end()
    return capture


@case
def fragments():
    capture, ident = Capture("fragments"), [0]

    def four(ip, c):
        ident[0] += 1
        data, out = ip[20:], []
        if len(data) < 100:
            return [ether(ip)]
        for at in range(0, len(data), 48):
            more = 0x2000 if at + 48 < len(data) else 0
            out.append(ether(ipv4(ip[12:16], ip[16:20], data[at : at + 48], ident=ident[0], fragment=more | at // 8)))
        return out if ident[0] % 2 else out[::-1]

    def six(ip, c):
        ident[0] += 1
        data, out = ip[40:], []
        for at in range(0, len(data), 64):
            more = 1 if at + 64 < len(data) else 0
            out.append(ether(ipv6(ip[8:24], ip[24:40], struct.pack(">BBHI", 6, 0, at | more, ident[0]) + data[at : at + 64], 44), 0x86DD))
        return out

    for port, wrap, v6 in ((40000, four, False), (40001, six, True)):
        t = Talk(capture, port, wrap=wrap, v6=v6)
        t.c(get("/in-pieces", "X-Fill: " + "f" * 200))
        t.s(ok("g" * 300))
        t.c(get("/again"))
        t.s(ok("x"))
        t.end()
    return capture


@case
def bad_checksum():
    capture = Capture("bad-checksum")
    t = Talk(capture, 40000)
    t.c(get("/offloaded"), bad=True)
    t.s(ok("x"), bad=True)
    t.end()
    return capture


@case
def cut():
    capture = Capture("cut", snap=200)
    t = Talk(capture, 40000)
    t.c(get("/fits"))
    t.s(ok("b" * 1000))
    t.c(get("/next"))
    t.s(ok("x"))
    t.c(get("/head-is-cut", "X-Fill: " + "f" * 300))
    t.s(ok("y"))
    t.c(get("/last"))
    t.s(ok("z"))
    t.end()
    return capture


@case
def seen_twice():
    """The `any` device on a router: each packet comes in by one interface and leaves by another, there with another source address."""
    capture = Capture("seen-twice", link=276)

    def twice(ip, c):
        cooked = lambda ip, iface, kind: struct.pack(">HHIHBB8s", 0x0800, 0, iface, 1, kind, 6, bytes(8)) + ip
        head = bytearray(ip)
        if head[12:16] == bytes([10, 0, 0, 1]):
            head[12:16] = bytes([172, 16, 0, 9])
            outside = bytes(head)
        else:
            outside = bytes(head[:16]) + bytes([172, 16, 0, 9]) + bytes(head[20:])
        pair = [cooked(ip, 2, 0), cooked(outside, 3, 4)]
        return pair if ip[12:16] == bytes([10, 0, 0, 1]) else pair[::-1]

    t = Talk(capture, 40000, wrap=twice)
    for n in range(3):
        t.c(get(f"/{n}", "X-Fill: " + "f" * n))
        t.s(ok("x" * (n + 1)))
    t.end()
    return capture


@case
def h2c():
    """HTTP/2 with prior knowledge: padding, priority, CONTINUATION, HPACK's dynamic table, interleaved streams, a reset."""
    capture, t = simple("h2c")
    literal = lambda name, value: b"\x40" + bytes([len(name)]) + name + bytes([len(value)]) + value
    path = lambda value: b"\x44" + bytes([len(value)]) + value
    t.c(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2_frame(4, 0, 0) + h2_frame(8, 0, 0, struct.pack(">I", 65535)))
    t.s(h2_frame(4, 0, 0) + h2_frame(4, 1, 0))
    # GET and POST are in the static table at 2 and 3, http at 6.
    block = b"\x82\x86" + path(b"/first") + literal(b"x-own", b"value")
    t.c(h2_frame(4, 1, 0) + h2_frame(1, 0x08 | 0x20 | 0x01, 1, b"\x03" + struct.pack(">IB", 0, 15) + block[:9] + b"\0\0\0") + h2_frame(9, 4, 1, block[9:]), size=23)
    # 0xbe is what the table holds newest: x-own: value; 0xbf the path before it.
    t.c(h2_frame(1, 4, 3, b"\x83\x86\xbf\xbe") + h2_frame(1, 5, 5, b"\x82\x86" + path(b"/third")))
    t.s(h2_frame(1, 4, 5, b"\x8d") + h2_frame(1, 4, 1, b"\x88") + h2_frame(0, 8, 1, b"\x02hello\0\0") + h2_frame(0, 1, 5, b"gone"))
    t.c(h2_frame(0, 1, 3, b"a=b") + h2_frame(6, 0, 0, b"12345678"))
    t.s(h2_frame(6, 1, 0, b"12345678") + h2_frame(0, 1, 1, b"") + h2_frame(3, 0, 3, struct.pack(">I", 2)))
    t.c(h2_frame(7, 0, 0, struct.pack(">II", 0, 0)))
    t.end()
    return capture


@case
def h2c_upgrade():
    capture, t = simple("h2c-upgrade")
    t.c(get("/upgraded", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"))
    t.s(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + h2_frame(4, 0, 0) + h2_frame(1, 4, 1, b"\x88") + h2_frame(0, 1, 1, b"one"))
    t.c(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2_frame(4, 0, 0) + h2_frame(1, 5, 3, b"\x82\x86\x04\x07/second"))
    t.s(h2_frame(4, 1, 0) + h2_frame(1, 5, 3, b"\x8d"))
    t.end()
    return capture


@case
def not_http():
    capture = Capture("not-http")
    t = Talk(capture, 40000)
    t.s("220 mail.example ESMTP\r\n")
    t.c("EHLO h\r\n")
    t.s("250 ok\r\n")
    t.end()
    u = Talk(capture, 40001)
    u.c(b"\0\x01\x02binary" + get("/inside").encode())
    u.s(b"\xff\xfe" + ok("x").encode())
    u.end()
    return capture


def main():
    for make in CASES:
        make().close()


main()
