"""Hours of traffic past `gatewitness live`, and what it took meanwhile. Needs root, ip and tcpreplay.

    python3 tests/bench/soak.py BINARY SECONDS SAMPLES CAPTURE... [-- OPTION...]

Plays the captures one after the other at their own pace, again and again, into a network namespace of its own, while
`live` watches there with OPTION... added. Every 10 s it scrapes /metrics inside the namespace and writes the numbers to SAMPLES, one JSON
object a line. At the end it prints: packets that tcpreplay sent against those received and dropped, pairs against verdicts, and memory,
descriptors and CPU at the beginning and at the end. Captures of `tests/accuracy/traffic.py` do; docs/service.md says which were used.
"""
import json, os, re, signal, subprocess, sys, threading, time

BINARY, SECONDS, SAMPLES, *rest = sys.argv[1:]
cut = rest.index("--") if "--" in rest else len(rest)
CAPTURES, OPTIONS, SECONDS = rest[:cut], rest[cut + 1:], float(SECONDS)
SPACE, PORT, EVERY = f"gwsoak{os.getpid()}", 19090, 10
inside, beside = ["ip", "netns", "exec", SPACE], ["ip", "netns", "exec", SPACE + "p"]
sent, over = [0], threading.Event()


def play():
    while True:
        for capture in CAPTURES:
            child = subprocess.Popen([*beside, "tcpreplay", "-q", "-i", "d1", capture], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            while child.poll() is None:
                if over.wait(0.2):
                    child.send_signal(signal.SIGINT)
                    break
            said = child.communicate()[0]
            found = re.search(r"Successful packets:\s+(\d+)", said) or re.search(r"Actual: (\d+) packets", said)
            sent[0] += int(found.group(1)) if found else 0
            if over.is_set():
                return


def scrape():
    ask = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{PORT}/metrics', timeout=5).read().decode())"
    text = subprocess.run([*inside, sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout
    return {name: float(value) for name, value in re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text, re.M)}


def main():
    for space in (SPACE, SPACE + "p"):
        subprocess.run(["ip", "netns", "add", space], check=True)
    for words in (["link", "set", "lo", "up"], ["link", "add", "d0", "type", "veth", "peer", "name", "d1", "netns", SPACE + "p"], ["link", "set", "d0", "up"]):
        subprocess.run(["ip", "-n", SPACE, *words], check=True)
    subprocess.run(["ip", "-n", SPACE + "p", "link", "set", "d1", "up"], check=True)
    with open(os.devnull, "wb") as nowhere:
        words = ["live", "--metrics", f"127.0.0.1:{PORT}", "--format", "ndjson", *OPTIONS]
        live = subprocess.Popen([*inside, BINARY, *words], stdout=nowhere, stderr=subprocess.PIPE, text=True)
    for line in live.stderr:
        if "watching" in line:
            break
    player = threading.Thread(target=play)
    player.start()
    begun, samples = time.time(), []
    with open(SAMPLES, "w") as out:
        while time.time() - begun < SECONDS and live.poll() is None:
            time.sleep(EVERY)
            samples.append({"seconds": round(time.time() - begun), "load": os.getloadavg()[0], **scrape()})
            out.write(json.dumps(samples[-1]) + "\n")
            out.flush()
    over.set()
    player.join()
    # What is on its way is judged, and counted.
    time.sleep(3)
    last = scrape()
    live.send_signal(signal.SIGINT)
    said = live.communicate()[1]
    total = lambda family: int(sum(value for name, value in last.items() if name.startswith(family + "{")))
    received, dropped = int(last["gatewitness_packets_received_total"]), total("gatewitness_packets_dropped_total")
    print(f"tcpreplay sent {sent[0]} packets; live received {received}, dropped {dropped}; exit code {live.returncode}")
    print(f"pairs by verdict: {total('gatewitness_pairs_total')}, of them unresolved by reason: {total('gatewitness_unresolved_pairs_total')}")
    for name, scale, unit in (("process_resident_memory_bytes", 1 << 20, "MiB"), ("process_open_fds", 1, "descriptors"),
                              ("gatewitness_open_connections", 1, "connections"), ("gatewitness_open_exchanges", 1, "exchanges")):
        at = [(one["seconds"], one[name] / scale) for one in samples]
        tenths = [at[len(at) * n // 10] for n in range(10)] + at[-1:]
        print(f"{unit}: " + ", ".join(f"{value:.1f} at {seconds} s" for seconds, value in tenths))
    cpu = samples[-1]["process_cpu_seconds_total"]
    print(f"CPU: {cpu:.0f} s in {samples[-1]['seconds']} s; load average {min(s['load'] for s in samples):.1f} to {max(s['load'] for s in samples):.1f}")
    print(said, end="")


try:
    main()
finally:
    for space in (SPACE, SPACE + "p"):
        subprocess.run(["ip", "netns", "del", space])
