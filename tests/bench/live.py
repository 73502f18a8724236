"""What `gatewitness live` costs and how soon it tells, in network namespaces of its own. Needs root, ip, tcpdump and tcpreplay.

    python3 tests/bench/live.py BINARY CAPTURE [MBPS...]

Prints: from the client's reading of its answer to the record's arrival in a pipe, one request at a time; how long an idle run takes to
end; and for each rate what tcpreplay sent of CAPTURE, and what tcpdump and `live`, one after the other, received and lost, with CPU seconds.
"""
import json, os, re, resource, signal, statistics, subprocess, sys, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
SCENE = os.path.join(HERE, "..", "live", "scene.py")
BINARY, CAPTURE, RATES = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3:] or ["50", "200"]
NAMES = {side: f"gwbench{os.getpid()}{side}" for side in "cgu"}
started = []


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def run(side, *words, **more):
    child = subprocess.Popen(["ip", "netns", "exec", NAMES[side], "timeout", "--foreground", "120", *words], text=True, **more)
    started.append(child)
    return child


def until(stream, word):
    for line in stream:
        if word in line:
            return
    raise SystemExit(f"`{word}` does not come")


def live(*words):
    child = run("g", BINARY, "live", *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until(child.stderr, "watching")
    return child


def end(child):
    begun = time.time()
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    return time.time() - begun, said


def delay():
    for side, name in (("u", "weather:9001"), ("u", "docs:9002")):
        name, port = name.split(":")
        until(run(side, sys.executable, SCENE, "upstream", f"10.78.2.2:{port}", name, stdout=subprocess.PIPE).stdout, "ready")
    until(run("g", sys.executable, SCENE, "gateway", "10.78.1.1:4000", "weather=10.78.2.2:9001", "docs=10.78.2.2:9002", stdout=subprocess.PIPE).stdout, "ready")
    child, told = live("--format", "ndjson", "--heartbeat", "3600"), []
    reader = threading.Thread(target=lambda: told.extend((time.time_ns(), json.loads(line)["record"]) for line in child.stdout), daemon=True)
    reader.start()
    done = []
    for token in ("bad-1", "good-1") * 5:
        asked = run("c", sys.executable, SCENE, "client", "10.78.1.1:4000", token, "10", "0.1", stdout=subprocess.PIPE)
        done += [json.loads(line)["done"] for line in asked.communicate(timeout=60)[0].splitlines()]
    time.sleep(1)
    pairs = [at for at, kind in list(told) if kind == "pair"]
    child.send_signal(signal.SIGINT)
    child.wait(20)
    if len(pairs) != len(done):
        raise SystemExit(f"{len(done)} requests, {len(pairs)} records")
    late = sorted((told_at - done_at) / 1e6 for told_at, done_at in zip(pairs, done))
    print(f"delay: {len(late)} requests, median {statistics.median(late):.1f} ms, 95 % {late[int(len(late) * .95)]:.1f} ms, worst {late[-1]:.1f} ms")


def idle():
    times = []
    for _ in range(5):
        child = live("--format", "ndjson", "-i", "vc")
        time.sleep(1)
        times.append(end(child)[0])
    print("idle: ends after " + ", ".join(f"{one * 1000:.0f}" for one in times) + " ms")


def number(pattern, text):
    found = re.search(pattern, text)
    return int(found[1]) if found else -1


def rates():
    kinds = {"tcpdump": ["tcpdump", "-n", "-i", "vc", "-w", "/dev/null", "tcp"], "live": [BINARY, "live", "--format", "ndjson", "-i", "vc"]}
    for rate in RATES:
        for kind, words in kinds.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            child = run("g", *words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            until(child.stderr, "watching" if kind == "live" else "listening on")
            sent = subprocess.run(["ip", "netns", "exec", NAMES["c"], "tcpreplay", "-q", f"--mbps={rate}", f"--loop={max(1, 20_000_000 // os.path.getsize(CAPTURE))}", "-i", "v0", CAPTURE], capture_output=True, text=True)
            ours = resource.getrusage(resource.RUSAGE_CHILDREN)
            time.sleep(2.5)
            took, said = end(child)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - ours.ru_utime - ours.ru_stime
            print(f"{rate} Mb/s {kind}: sent {number(r'Successful packets: +([0-9]+)', sent.stdout)}, received {number(r'([0-9]+) packets (?:received|captured)', said)}"
                  f", dropped by kernel {number(r'([0-9]+) packets dropped by kernel', said)}, passed over {max(0, number(r'([0-9]+) packets passed over', said))}"
                  f", {cpu:.2f} s of CPU, ended after {took:.2f} s", flush=True)


try:
    for name in NAMES.values():
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
    for side, ours, n in (("c", "vc", 1), ("u", "vu", 2)):
        ip("-n", NAMES["g"], "link", "add", ours, "mtu", "65535", "type", "veth", "peer", "name", "v0", "mtu", "65535", "netns", NAMES[side])
        for place, link, host in (("g", ours, 1), (side, "v0", 2)):
            ip("-n", NAMES[place], "addr", "add", f"10.78.{n}.{host}/24", "dev", link)
            ip("-n", NAMES[place], "link", "set", link, "up")
    print(f"load average {os.getloadavg()[0]:.1f}")
    delay(), idle(), rates()
finally:
    for child in started:
        if child.poll() is None:
            child.terminate()
    for name in NAMES.values():
        subprocess.run(["ip", "netns", "del", name], check=False)
