"""Runs a command where the system's logs are sockets of this script, and prints what they were told, one JSON object a line.

    logs.py [--late SECONDS] COMMAND...      takes root: /dev/log and the journal's socket are laid over in a mount namespace of its own

SIGINT is handed on to the command. With --late the sockets are taken away once it has begun, and are back after so many seconds; SIGINT
is handed on after that. The last line is the exit code.
"""
import json, os, signal, socket, struct, subprocess, sys, threading, time

PATHS = {"syslog": "/dev/log", "journald": "/run/systemd/journal/socket"}


def fields(message):
    """https://systemd.io/JOURNAL_NATIVE_PROTOCOL/"""
    found = {}
    while message:
        line, _, message = message.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack("<Q", message[:8])
            value, message = message[8:8 + size], message[8 + size:]
            assert message[:1] == b"\n", "a field ends with its line"
            message = message[1:]
        found[name.decode()] = value.decode()
    return found


def listen(kind, said):
    path = PATHS[kind]
    at = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    at.bind(path)
    # As syslog daemons and the journal leave it: the run is somebody else by then.
    os.chmod(path, 0o666)

    def read():
        while True:
            try:
                message = at.recv(1 << 20)
            except OSError:
                return
            if not message:
                return
            said.append({"log": kind, **({"text": message.decode()} if kind == "syslog" else fields(message))})
    threading.Thread(target=read, daemon=True).start()
    return at


def main(words):
    late = float(words[1]) if words[0] == "--late" else None
    words = words[2:] if late is not None else words
    if os.environ.get("LOGS_INSIDE") is None:
        os.execvpe("unshare", ["unshare", "--mount", sys.executable, __file__, *sys.argv[1:]], {**os.environ, "LOGS_INSIDE": "1"})
    # What is mounted here is seen by nobody else.
    mount = lambda *words: subprocess.run(["mount", *words], check=True)
    os.makedirs(os.path.dirname(PATHS["journald"]), exist_ok=True)
    mount("-t", "tmpfs", "none", os.path.dirname(PATHS["journald"]))
    mount("-t", "tmpfs", "none", "/mnt")
    for name in ("null", "zero", "urandom"):
        open(f"/mnt/{name}", "w").close()
        mount("--bind", f"/dev/{name}", f"/mnt/{name}")
    mount("--move", "/mnt", "/dev")
    said = []
    sockets = [listen(kind, said) for kind in PATHS]
    asked = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: asked.set())
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    if late is not None:
        time.sleep(1)
        [one.close() for one in sockets]
        [os.unlink(path) for path in PATHS.values()]
        time.sleep(late)
        sockets = [listen(kind, said) for kind in PATHS]
    asked.wait(60)
    child.send_signal(signal.SIGINT)
    code = child.wait(60)
    time.sleep(0.2)
    for one in said:
        print(json.dumps(one))
    print(json.dumps({"code": code}))


main(sys.argv[1:])
