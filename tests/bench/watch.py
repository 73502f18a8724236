"""What the dashboard costs beside the headless run, over the same traffic. Needs root, ip and tcpreplay.

    python3 tests/bench/watch.py BINARY CAPTURE [MBPS...]

For each rate tcpreplay sends CAPTURE into a network namespace, once before `live` and once before `watch` in a terminal of 120x40 that
is read at once. Prints packets received and lost, CPU seconds and peak memory of both, and how many frames a second were drawn while
packets came: on average, and in the worst full second.
"""
import fcntl, os, pty, re, select, signal, struct, subprocess, sys, termios, threading, time

BINARY, CAPTURE, RATES = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3:] or ["50"]
SPACE = f"gwwatch{os.getpid()}"
# The last that is written for each frame.
FRAME = b"\x1b[?25l"


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def sent(rate):
    words = ["tcpreplay", "-q", f"--mbps={rate}", "-i", "gw0", CAPTURE]
    out = subprocess.run(["ip", "netns", "exec", SPACE, *words], capture_output=True, text=True)
    return number(r"Successful packets: +([0-9]+)", out.stdout)


def number(pattern, text):
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def told(kind, packets, said, usage, peak, more=""):
    received, kernel = number(r"([0-9]+) packets received", said), number(r"([0-9]+) packets dropped by kernel", said)
    own = number(r"([0-9]+) packets passed over", said)
    print(f"  {kind}: sent {packets}, received {received}, dropped by kernel {kernel}, passed over {own}, "
          f"{usage.ru_utime + usage.ru_stime:.2f} s of CPU, {peak / 1024:.0f} MiB at most{more}", flush=True)


def peak(pid):
    with open(f"/proc/{pid}/status") as status:
        return number(r"VmHWM:\s+([0-9]+) kB", status.read())


def settle(pid):
    """Waits until what is queued is judged: until the process uses next to no processor time."""
    before = None
    for _ in range(60):
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        now = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        if before is not None and now - before < 0.15:
            return
        before = now
        time.sleep(1)


def live(rate):
    words = ["ip", "netns", "exec", SPACE, BINARY, "live", "-i", "gw1", "--format", "ndjson", "-o", "/dev/null"]
    child = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    for line in child.stderr:
        if "watching" in line:
            break
    packets = sent(rate)
    settle(child.pid)
    most = peak(child.pid)
    child.send_signal(signal.SIGINT)
    said = child.stderr.read()
    _, _, usage = os.wait4(child.pid, 0)
    told("live ", packets, said, usage, most)


def watch(rate):
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        words = ["ip", "netns", "exec", SPACE, BINARY, "watch", "-i", "gw1"]
        os.execvpe("ip", words, {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"})
    frames, shown = [], bytearray()

    def read():
        while True:
            try:
                data = os.read(terminal, 65536)
            except OSError:
                return
            if not data:
                return
            shown.extend(data)
            frames.extend([time.monotonic()] * data.count(FRAME))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(200):
        if b"IVE" in shown:
            break
        time.sleep(0.05)
    else:
        raise SystemExit(f"the dashboard does not come: {bytes(shown)!r}")
    begun = time.monotonic()
    packets = sent(rate)
    ended = time.monotonic()
    settle(pid)
    most = peak(pid)
    os.kill(pid, signal.SIGINT)
    _, _, usage = os.wait4(pid, 0)
    reader.join(5)
    during = [at - begun for at in frames if begun <= at < ended]
    seconds = [sum(1 for at in during if second <= at < second + 1) for second in range(int(ended - begun))]
    more = f"; {len(during) / (ended - begun):.1f} frames a second in {ended - begun:.1f} s, {min(seconds, default=0)} in the worst"
    told("watch", packets, shown.decode("utf-8", "replace"), usage, most, more)


try:
    ip("netns", "add", SPACE)
    ip("-n", SPACE, "link", "add", "gw0", "mtu", "65535", "type", "veth", "peer", "name", "gw1", "mtu", "65535")
    for link in ("lo", "gw0", "gw1"):
        ip("-n", SPACE, "link", "set", link, "up")
    print(f"load average {os.getloadavg()[0]:.1f}")
    for rate in RATES:
        print(f"{rate} Mb/s")
        live(rate), watch(rate)
finally:
    subprocess.run(["ip", "netns", "del", SPACE], check=False)
