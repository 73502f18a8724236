"""What `gatewitness live` costs and how soon it tells, in network namespaces of its own. Needs root, ip, tcpdump, tshark and tcpreplay.

    live.py BINARY delay                    from the client's reading of its answer to the record's arrival in a pipe, one request at a time,
                                            with the gateway found by its traffic and named
    live.py BINARY idle                     how long an idle run takes to end
    live.py BINARY rates CAPTURE [MBPS...]  tcpreplay sends CAPTURE at each rate (`top`: as fast as it can); what tcpdump -w, tshark and live,
                                            one after the other, received and lost, with CPU seconds and memory
    live.py BINARY paced CAPTURE            tcpreplay sends CAPTURE at its own speed: CPU of live in % of a core
    live.py BINARY harm [ROUNDS]            a busy gateway with and without live, by turns: requests a second and latency, as ratios
"""
import json, os, re, resource, signal, statistics, subprocess, sys, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
SCENE = os.path.join(HERE, "..", "live", "scene.py")
BINARY, WHAT, REST = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3:]
NAMES = {side: f"gwbench{os.getpid()}{side}" for side in "cgu"}
GATEWAY = "10.78.1.1:4000"
started = []


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def run(side, *words, **more):
    child = subprocess.Popen(["ip", "netns", "exec", NAMES[side], "timeout", "--foreground", "180", *words], text=True, **more)
    started.append(child)
    return child


def until(stream, word):
    for line in stream:
        if word in line:
            return
    raise SystemExit(f"`{word}` does not come")


def live(*words, **more):
    child = run("g", BINARY, "live", *words, **{"stdout": subprocess.PIPE, **more}, stderr=subprocess.PIPE)
    until(child.stderr, "watching")
    return child


def end(child):
    begun = time.time()
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    return time.time() - begun, said


def scene():
    for name, port in (("weather", 9001), ("docs", 9002)):
        until(run("u", sys.executable, SCENE, "upstream", f"10.78.2.2:{port}", name, stdout=subprocess.PIPE).stdout, "ready")
    words = [sys.executable, SCENE, "gateway", GATEWAY, "weather=10.78.2.2:9001", "docs=10.78.2.2:9002"]
    until(run("g", *words, stdout=subprocess.PIPE).stdout, "ready")


def client(token, count, pause=0.0):
    return run("c", sys.executable, SCENE, "client", GATEWAY, token, str(count), str(pause), stdout=subprocess.PIPE)


def told(child):
    return [json.loads(line) for line in child.communicate(timeout=120)[0].splitlines()]


def delay():
    scene()
    for kind, words in (("found", []), ("named", ["--gateway", GATEWAY])):
        child, records = live("--format", "ndjson", "--heartbeat", "3600", *words), []
        read = lambda: records.extend((time.time_ns(), json.loads(line)["record"]) for line in child.stdout)
        threading.Thread(target=read, daemon=True).start()
        done = [one["done"] for token in ("bad-1", "good-1") * 5 for one in told(client(token, 10, 0.1))]
        time.sleep(1)
        pairs = [at for at, record in list(records) if record == "pair"]
        child.send_signal(signal.SIGINT)
        child.wait(20)
        if len(pairs) != len(done):
            raise SystemExit(f"{len(done)} requests, {len(pairs)} records")
        late = [(told_at - done_at) / 1e6 for told_at, done_at in zip(pairs, done)]
        first, late = late[0], sorted(late[1:])
        print(f"delay, gateway {kind}: first request {first:.1f} ms; {len(late)} more: median {statistics.median(late):.1f} ms, "
              f"95 % {late[int(len(late) * .95)]:.1f} ms, worst {late[-1]:.1f} ms", flush=True)


def idle():
    times = []
    for _ in range(5):
        child = live("--format", "ndjson", "-i", "vc")
        time.sleep(1)
        times.append(end(child)[0])
    print("idle: ends after " + ", ".join(f"{one * 1000:.0f}" for one in times) + " ms")


def number(pattern, text):
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def memory(pid):
    """The most that a process and its descendants held at a time each, in MiB."""
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    try:
        own = number(r"VmHWM:\s+(\d+)", open(f"/proc/{pid}/status").read()) / 1024
    except OSError:
        own = 0
    return max(own, sum(memory(child) for child in children))


def spent():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def replay(capture, *words):
    return subprocess.run(["ip", "netns", "exec", NAMES["c"], "tcpreplay", "-q", *words, "-i", "v0", capture], capture_output=True, text=True).stdout


def rates():
    capture, wanted = REST[0], REST[1:] or ["50", "100", "200", "400", "top"]
    kinds = {
        "tcpdump -w": (["tcpdump", "-n", "-i", "vc", "-B", "32768", "-w", "/dev/null", "tcp"], "listening on"),
        "tshark": (["tshark", "-n", "-i", "vc", "-B", "32", "-f", "tcp", "-Y", "http", "-T", "fields", "-e", "http.response.code"], "Capturing on"),
        "live": ([BINARY, "live", "--format", "ndjson", "-i", "vc"], "watching"),
    }
    print("| sent | Mb/s | with | received | dropped by kernel | passed over | CPU s | MiB |\n|---|---|---|---|---|---|---|---|")
    for rate in wanted:
        for kind, (words, ready) in kinds.items():
            child = run("g", *words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            until(child.stderr, ready)
            time.sleep(1)
            said = replay(capture, *(["--topspeed"] if rate == "top" else [f"--mbps={rate}"]))
            before = spent()
            time.sleep(3)
            held = memory(child.pid)
            _, errors = end(child)
            sent, real = number(r"Successful packets: +([0-9]+)", said), re.search(r"([0-9.]+) Mbps", said)
            # tshark says nothing of drops where there are none, and calls them otherwise.
            received, kernel = number(r"([0-9]+) packets? (?:received|captured)", errors), number(r"([0-9]+) packets? dropped", errors)
            print(f"| {sent:,} | {real[1] if real else '?'} | {kind} | {received:,} | {kernel:,} | {number(r'([0-9]+) packets passed over', errors):,} "
                  f"| {spent() - before:.2f} | {held:.0f} |", flush=True)


def paced():
    child = live("--format", "ndjson", "-i", "vc", stdout=subprocess.DEVNULL)
    begun = time.time()
    said = replay(REST[0], "-K", "-T", "nano")
    took, before = time.time() - begun, spent()
    time.sleep(1)
    _, errors = end(child)
    cpu = spent() - before
    print(f"paced: {number(r'Successful packets: +([0-9]+)', said):,} packets in {took:.1f} s, {cpu:.2f} s of CPU, {100 * cpu / took:.1f} % of a core; "
          f"dropped by kernel {number(r'([0-9]+) packets dropped', errors)}, passed over {number(r'([0-9]+) packets passed', errors)}")


def busy():
    """Requests a second and median latency of eight clients in a closed loop."""
    all = [one for child in [client("good-1", 60) for _ in range(8)] for one in told(child)]
    lasted = (max(one["done"] for one in all) - min(one["begun"] for one in all)) / 1e9
    return len(all) / lasted, statistics.median((one["done"] - one["begun"]) / 1e6 for one in all)


def harm():
    scene()
    busy()
    rounds = []
    for n in range(int(REST[0]) if REST else 7):
        here = {}
        for on in ((False, True) if n % 2 else (True, False)):
            child = live("--format", "ndjson", stdout=subprocess.DEVNULL) if on else None
            here[on] = busy()
            if child:
                end(child)
        rounds.append(here)
    for what, place in (("requests/s", 0), ("median latency, ms", 1)):
        ratios = sorted(here[True][place] / here[False][place] for here in rounds)
        off, on = (statistics.median(here[which][place] for here in rounds) for which in (False, True))
        print(f"harm: {what}: without {off:.1f}, with {on:.1f}; ratio median {statistics.median(ratios):.3f}, {ratios[0]:.3f} to {ratios[-1]:.3f} ({len(rounds)} rounds)")


try:
    for name in NAMES.values():
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
    for side, ours, n in (("c", "vc", 1), ("u", "vu", 2)):
        ip("-n", NAMES["g"], "link", "add", ours, "mtu", "65535", "type", "veth", "peer", "name", "v0", "mtu", "65535", "netns", NAMES[side])
        for place, link, host in (("g", ours, 1), (side, "v0", 2)):
            ip("-n", NAMES[place], "addr", "add", f"10.78.{n}.{host}/24", "dev", link)
            ip("-n", NAMES[place], "link", "set", link, "up")
    print(f"load average {os.getloadavg()[0]:.1f} at the beginning")
    {"delay": delay, "idle": idle, "rates": rates, "paced": paced, "harm": harm}[WHAT]()
    print(f"load average {os.getloadavg()[0]:.1f} at the end")
finally:
    for child in started:
        if child.poll() is None:
            child.terminate()
    for name in NAMES.values():
        subprocess.run(["ip", "netns", "del", name], check=False)
