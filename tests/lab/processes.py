"""Child processes that are surely gone when the lab is: each in a session of its own, ended as a group."""
import ctypes, os, signal, socket, subprocess, time


def free_ports(hosts):
    """One free port for each host, all different; held open together so that no two are the same."""
    held, ports = [], []
    for host in hosts:
        s = socket.socket()
        s.bind((host, 0))
        held.append(s)
        ports.append(s.getsockname()[1])
    for s in held:
        s.close()
    return ports


def hold_port(host):
    """A socket that is bound but does not listen: connections to it are refused, and nobody else takes the port."""
    s = socket.socket()
    s.bind((host, 0))
    return s


class Child:
    """A program with its output in a file; `stop` ends it and everything that it started."""

    running = []

    def __init__(self, words, output, env=None, stdout=None):
        self.name, self.output = os.path.basename(words[0]), output
        with open(output, "ab") as out:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=stdout or out, stderr=out, env=env, start_new_session=True, preexec_fn=_die_with_parent)
        Child.running.append(self)

    def alive(self):
        return self.process.poll() is None

    def peak_memory(self):
        """Peak resident memory of the group in MiB: the sum over its processes, shared pages counted in each."""
        total = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.getpgid(int(pid)) == self.process.pid:
                    with open(f"/proc/{pid}/status") as f:
                        total += sum(int(line.split()[1]) for line in f if line.startswith("VmHWM:"))
            except OSError:
                continue
        return total / 1024

    def stop(self, first=signal.SIGTERM, patience=5):
        if self in Child.running:
            Child.running.remove(self)
        self._signal(first)
        end = time.monotonic() + patience
        while self.alive() and time.monotonic() < end:
            time.sleep(0.02)
        self._signal(signal.SIGKILL)  # what the first one left behind, children included
        self.process.wait()

    def _signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass
        except PermissionError:
            self.process.send_signal(number)  # sudo in front: it passes signals on

    def told(self):
        with open(self.output, errors="replace") as f:
            return f.read()


def stop_all():
    while Child.running:
        Child.running[-1].stop()


def wait_for(what, ready, child, seconds):
    """Waits until `ready()`, or fails with the end of the child's output."""
    end = time.monotonic() + seconds
    while not ready():
        if not child.alive() or time.monotonic() > end:
            raise SystemExit(f"lab: {what} did not come up in {seconds} s; the end of {child.output}:\n{child.told()[-3000:]}")
        time.sleep(0.2)


def _die_with_parent():
    """Linux: end this child when the lab is killed outright (PR_SET_PDEATHSIG, prctl(2))."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
