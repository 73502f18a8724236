#!/usr/bin/env python3
"""Whether a reader's cost follows what is open, not what has passed: feeds it a long capture through a pipe and looks at it at every tenth.

    tests/bench/stream.py [--gigabytes 10] CAPTURE COMMAND...

CAPTURE (pcap, as tests/accuracy/traffic.py writes it) is sent again and again, each time later by whole seconds, until so many bytes have
passed; the same addresses and ports come again and again. Prints for each tenth the seconds that passed and that the reader's threads worked, their rate,
and the memory it holds.
"""
import argparse, os, struct, subprocess, sys, time

parser = argparse.ArgumentParser()
parser.add_argument("--gigabytes", type=float, default=10)
parser.add_argument("capture")
parser.add_argument("command", nargs=argparse.REMAINDER)
args = parser.parse_args()

data = open(args.capture, "rb").read()
head, body = data[:24], bytearray(data[24:])
assert head[:4] == bytes.fromhex("d4c3b2a1"), "a little-endian pcap of microseconds"
stamps, at = [], 0
while at < len(body):
    seconds, _, length, _ = struct.unpack_from("<IIII", body, at)
    stamps.append((at, seconds))
    at += 16 + length
# long enough for what was open to be over
step = stamps[-1][1] - stamps[0][1] + 2
rounds = max(10, round(args.gigabytes * 1e9 / len(body)))

reader = subprocess.Popen(args.command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
pipe = reader.stdin.fileno()
tick = os.sysconf("SC_CLK_TCK")


def now():
    stat = open(f"/proc/{reader.pid}/stat").read().rpartition(")")[2].split()
    resident = next(line for line in open(f"/proc/{reader.pid}/status") if line.startswith("VmRSS"))
    return time.monotonic(), (int(stat[11]) + int(stat[12])) / tick, int(resident.split()[1]) / 1024


def send(data):
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view):]


print(f"{rounds} times {len(body) / 1e6:.1f} MB, {len(stamps)} packets each\n| tenth | wall s | CPU s | MB a CPU-second | resident MiB |\n|---|---|---|---|---|")
send(head)
before, passed, rates = now(), 0, []
for number in range(rounds):
    for at, seconds in stamps:
        struct.pack_into("<I", body, at, seconds + number * step)
    send(body)
    passed += len(body)
    tenth = (number + 1) * 10 // rounds
    if tenth > len(rates):
        after = now()
        wall, worked = after[0] - before[0], after[1] - before[1]
        rates.append(passed / 1e6 / max(worked, 1 / tick))
        print(f"| {tenth} | {wall:.1f} | {worked:.2f} | {rates[-1]:.1f} | {after[2]:.1f} |", flush=True)
        before, passed = after, 0
reader.stdin.close()
code = reader.wait()
print(f"the last tenth's rate is {rates[-1] / rates[0]:.2f} of the first's; exit code {code}")
sys.exit(0 if code in (0, 1) else 1)
