#!/usr/bin/env python3
"""Fills tests/fuzz/corpus/TARGET with what the bundled captures hold, in each target's own form. Standard library only."""

import pathlib
import re
import struct

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CAPTURES = ROOT / "captures"
LINKS = [1, 276, 113, 101, 0, 108, 228, 229, 12, 14, 9, 50, 51, 104]
HEADS = {1: 14, 276: 20, 113: 16, 101: 0}


def put(target, name, data):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def records(data):
    """Link type and frames of a classic little-endian capture."""
    if data[:4] not in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"):
        return 0, []
    link, at, out = struct.unpack_from("<I", data, 20)[0], 24, []
    while at + 16 <= len(data):
        caplen = struct.unpack_from("<I", data, at + 8)[0]
        out.append(data[at + 16 : at + 16 + caplen])
        at += 16 + caplen
    return link, out


def segments(link, frames):
    """Connection, side and payload of each IPv4 segment that brings something new, in order."""
    seen = {}
    for frame in frames:
        ip = frame[HEADS.get(link, 14) :]
        if len(ip) < 40 or ip[0] >> 4 != 4 or ip[9] != 6:
            continue
        head = (ip[0] & 15) * 4
        tcp = ip[head : struct.unpack_from(">H", ip, 2)[0]]
        if len(tcp) < 20:
            continue
        a, b = (ip[12:16], tcp[0:2]), (ip[16:20], tcp[2:4])
        payload = tcp[(tcp[12] >> 4) * 4 :]
        key = (min(a, b), max(a, b))
        if tcp[13] & 2 and not tcp[13] & 16:
            seen[key] = (a, {})
        client, nexts = seen.setdefault(key, (a, {}))
        seq = struct.unpack_from(">I", tcp, 4)[0]
        if payload and seq >= nexts.get(a, 0):
            nexts[a] = seq + len(payload)
            yield key, a == client, payload


def conversations(link, frames):
    talks = {}
    for key, from_client, payload in segments(link, frames):
        talks.setdefault(key, []).append((from_client, payload))
    return list(talks.values())


def text(talk):
    out = b"\0"
    for from_client, payload in talk:
        out += (b"\xf0" if from_client else b"\xf1") + payload
    return out + b"\xf1\xf6\xf0\xf6"


def binary(talk):
    return b"".join(bytes([0 if c else 1]) + struct.pack("<H", len(p)) + p for c, p in talk)


def blocks(stream):
    """Header blocks of an HTTP/2 direction's bytes."""
    at = 24 if stream.startswith(b"PRI") else 0
    while at + 9 <= len(stream):
        size, kind, flags = int.from_bytes(stream[at : at + 3], "big"), stream[at + 3], stream[at + 4]
        if kind == 1 and flags & 4 and not flags & 0x28:
            yield stream[at + 9 : at + 9 + size]
        at += 9 + size


def main():
    for path in sorted(CAPTURES.glob("*.pcap*")) + sorted(CAPTURES.glob("hard/*.pcap*")):
        data, name = path.read_bytes(), path.stem
        if len(data) < 300_000:
            put("capfile", name, data[:6_000])
            put("engine", name, data[:24_000])
        if "hard" in path.parts or "litellm" in name:
            put("engine", name, data[:60_000])
        link, frames = records(data)
        if not frames:
            continue
        index = LINKS.index(link) if link in LINKS else 0
        put("packet", name, b"".join(bytes([index, 0]) + struct.pack("<H", len(f)) + f for f in frames[3:18]))
        keys = path.with_suffix(".keys")
        for n, talk in enumerate(conversations(link, frames)[:12]):
            first = talk[0][1]
            whole = b"".join(p for _, p in talk)
            if first[:1] == b"\x16":
                log = keys.read_bytes() if keys.exists() else b""
                random = first[11:43].hex().encode()
                lines = b"".join(line + b"\n" for line in log.splitlines() if random in line)
                put("tls", f"{name}-{n}", struct.pack("<H", len(lines)) + lines + binary(talk)[:8_000])
            elif first.startswith(b"PRI"):
                put("h2", f"{name}-{n}", b"\x03" + binary(talk)[:8_000])
                sides = [b"".join(p for c, p in talk if c == side) for side in (True, False)]
                pieces = [b for pair in zip(blocks(sides[0]), blocks(sides[1])) for b in pair]
                put("hpack", f"{name}-{n}", b"".join(bytes([len(b)]) + b for b in pieces if len(b) < 256))
            else:
                put("http1", f"{name}-{n}", text(talk)[:8_000])
                bodies = re.findall(rb'\{"(?:jsonrpc|method|id|result|error)[^\r\n]*', whole)
                for m, body in enumerate(bodies[:4]):
                    put("jsonrpc", f"{name}-{n}-{m}", bodies[0][:2_000] + b"\xff" + body[:4_000])
                events = re.findall(rb"(?:event|id|data|retry): ?[^\n]*\n(?:[^\n]*\n)*?\r?\n", whole)
                if events:
                    put("sse", f"{name}-{n}", b"".join(events)[:4_000])
    segment = lambda who, flags, seq, ack, size, time: struct.pack("<BBHHBB", who, flags, seq, ack, size << 1, time)
    opening = segment(0, 2, 10, 0, 0, 1) + segment(1, 18, 20, 11, 0, 1) + segment(0, 16, 11, 21, 0, 1)
    put("tcp", "in-order", opening + segment(0, 24, 11, 21, 50, 1) + segment(1, 24, 21, 61, 90, 1) + segment(0, 17, 61, 111, 0, 1))
    put("tcp", "hole", opening + segment(0, 24, 40, 21, 50, 1) + segment(1, 16, 21, 90, 0, 60) + segment(0, 24, 90, 21, 9, 250) * 3)
    put("tcp", "wrap", opening + b"".join(segment(0, 24, 11 + 60 * n, 21, 60, 1) for n in range(8)) + segment(1, 4, 21, 0, 0, 1))
    put("tcp", "overlap", opening + segment(0, 24, 30, 21, 50, 1) + segment(0, 24, 20, 21, 30, 1) + segment(0, 24, 11, 21, 40, 48))


main()
