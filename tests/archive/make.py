#!/usr/bin/env python3
"""An archive for tests: generated traffic of several hosts, cut into rotated files wherever a packet ends.

    tests/archive/make.py FOLDER HOSTS FILES        FILES for each host, in FOLDER/HOST/

The cuts fall into the middle of requests, answers and connections. On the second host, which has two interfaces, two captures run side by side.
"""
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "accuracy"))
sys.dont_write_bytecode = True
import traffic  # noqa: E402

GATEWAY = bytes([10, 0, 0, 1])


def main(folder, hosts, files):
    for number in range(hosts):
        host = folder / f"gateway-{number}"
        host.mkdir(parents=True)
        words = ["--seed", number, "--requests", 240, "--clients", 10, "--think-ms", 8000, "--upstream-ms", 1500, "--masked", 0.15, "--llm", 0.02,
                 "--noise", 0, "--body", "small", "--llm-tokens", 5, "--servers", 3, "--fanout", 2]
        made = folder / "made"
        traffic.Gen(traffic.parse_args(["-o", str(made), *map(str, words)])).run()
        data = made.with_suffix(".pcap").read_bytes()
        head, packets, at = data[:24], [], 24
        while at < len(data):
            size = 16 + struct.unpack_from("<I", data, at + 8)[0]
            packets.append(data[at:at + size])
            at += size
        # Hosts begin one after the other, so that an upstream's failure spreads.
        packets = [struct.pack("<I", struct.unpack_from("<I", packet)[0] + 40 * number) + packet[4:] for packet in packets]
        if number == 1:
            rotate(host / "eth0", head, [packet for packet in packets if not is_upstream(packet)], files // 2)
            rotate(host / "eth1", head, [packet for packet in packets if is_upstream(packet)], files - files // 2)
        else:
            rotate(host, head, packets, files)
        for left in folder.glob("made.*"):
            left.unlink()


def rotate(folder, head, packets, files):
    folder.mkdir(exist_ok=True)
    size = -(-len(packets) // files)
    for number, at in enumerate(range(0, len(packets), size)):
        (folder / f"dump.pcap{number}").write_bytes(head + b"".join(packets[at:at + size]))


def is_upstream(packet):
    """Whether it is of a connection that the gateway opened."""
    ports = struct.unpack_from("!HH", packet, 16 + 14 + 20)
    return packet[16 + 12:16 + 14] == b"\x08\x00" and 4000 not in ports


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
