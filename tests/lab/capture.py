"""tcpdump on the loopback interface, and the overwriting of lab ids in what it wrote."""
import os, re, signal, time

from processes import Child, wait_for

LAB_ID = re.compile(rb"(?i)(x-lab-request-id: ?r)(\d{6})")
# Delivered at once, else the last second stays behind; and a buffer that holds a burst, else that mode drops packets.
WORDS = ["tcpdump", "-i", "lo", "-n", "-s", "0", "-U", "--immediate-mode", "-B", "65536", "-w", "-"]


class Capture:
    """A running capture of the given ports."""

    def __init__(self, path, ports):
        self.path, self.raw, self.filter = path, path + ".raw", "tcp and (" + " or ".join(f"port {p}" for p in sorted(ports)) + ")"
        words = (["sudo", "-n"] if os.geteuid() else []) + WORDS + [self.filter]
        with open(self.raw, "wb") as out:  # written by the lab itself, so that tcpdump needs no right to any folder
            self.child = Child(words, path + ".log", stdout=out)
        wait_for("tcpdump", lambda: "listening on" in self.child.told(), self.child, 20)
        time.sleep(0.1)
        self.t_start = time.time()

    def stop(self):
        """Ends it, overwrites the lab ids, and returns the truth file's account of the capture."""
        time.sleep(0.3)
        t_stop = time.time()
        self.child.stop(signal.SIGINT)
        told = [line for line in self.child.told().splitlines() if "packets" in line]
        with open(self.raw, "rb") as f:
            data = f.read()
        os.remove(self.raw)
        os.remove(self.path + ".log")
        if not any(line.startswith("0 packets dropped") for line in told):
            raise SystemExit(f"lab: tcpdump lost packets, the recording is worth nothing: {told}")
        # The ids are of one length, so neither packet lengths nor sequence numbers change; checksums are wrong on loopback anyway.
        data, count = LAB_ID.subn(rb"\g<1>000000", data)
        with open(self.path, "wb") as f:
            f.write(data)
        return {"file": os.path.basename(self.path), "interface": "lo", "filter": self.filter, "tcpdump_args": WORDS[3:-2], "t_start": self.t_start, "t_stop": t_stop,
                "bytes": len(data), "tcpdump": told, "scrubbed": f"x-lab-request-id values overwritten (same length) after capture: {count}"}
