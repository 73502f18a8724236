#!/usr/bin/env python3
"""Records HTTP/2 between programs that are not ours, each recording with what those programs logged.

    make_h2.py FOLDER [NAME...]       writes NAME.pcap, NAME.keys (where there is TLS) and NAME.truth.json

Needs root (tcpdump), curl, node, nginx, haproxy, openssl, and a Python with the packages h2 and httpx[http2].  A truth file holds
`exchanges`, what each server logged, and `asked`, what each client did: client port, server port, method, path, status and the SHA-256
of both bodies without content coding (null where a side did not log it).  Ports, certificates and contents are made up here.
"""
import asyncio, gzip, hashlib, json, os, pathlib, signal, socket, ssl, subprocess, sys, tempfile, threading, time

HERE = pathlib.Path(__file__).resolve().parent
WORK = pathlib.Path(tempfile.mkdtemp(prefix="h2-"))
PLAIN, TLS12, TLS13, NODE, NODE_TLS, PYTHON, FRONT, FRONT_PLAIN, RELAY = range(18601, 18610)
EMPTY = hashlib.sha256(b"").hexdigest()


def sha(data):
    return hashlib.sha256(data).hexdigest()


class Running(list):
    """Processes to stop at the end, last one first."""

    def start(self, *args, env=None, out=None):
        process = subprocess.Popen(args, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                                   stdout=open(out, "wb") if out else subprocess.DEVNULL, stderr=open(WORK / "errors.log", "ab"))
        self.append(process)
        return process

    def stop(self):
        for process in reversed(self):
            process.terminate()
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
        self.clear()


def wait_for(port):
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on {port}: {(WORK / 'errors.log').read_text()[-2000:]}")


# ---- servers ----

def nginx(running):
    root = WORK / "www"
    root.mkdir(exist_ok=True)
    for n in range(12):
        (root / f"file{n}.txt").write_text(f"file {n}\n" * (n * n + 1))
    (root / "big.json").write_text(json.dumps([{"n": n, "text": "some text that compresses"} for n in range(3000)]))
    log = WORK / "nginx.log"
    (WORK / "nginx.conf").write_text(f"""
daemon off; pid {WORK}/nginx.pid; error_log {WORK}/nginx.err; worker_processes 1;
events {{ worker_connections 256; }}
http {{
  types {{ text/plain txt; application/json json; }}
  client_body_temp_path {WORK}/body; proxy_temp_path {WORK}/proxy; fastcgi_temp_path {WORK}/f; uwsgi_temp_path {WORK}/u; scgi_temp_path {WORK}/s;
  log_format truth escape=json '{{"conn":$remote_port,"server":$server_port,"method":"$request_method","path":"$uri","status":$status}}';
  access_log {log} truth;
  gzip on; gzip_types *; gzip_min_length 100; http2_max_concurrent_streams 64;
  server {{
    listen 127.0.0.1:{PLAIN} http2; listen 127.0.0.1:{TLS12} ssl http2; listen 127.0.0.1:{TLS13} ssl http2;
    ssl_certificate {WORK}/cert.pem; ssl_certificate_key {WORK}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
    root {root};
    location /refused {{ return 401 "no\\n"; }}
    location /moved {{ return 301 /file1.txt; }}
    location /post {{ proxy_pass http://unix:{WORK}/inner.sock; }}
    location /early {{ return 200 "answered before the body was read\\n"; }}
    location /none {{ return 204; }}
  }}
  server {{
    listen unix:{WORK}/inner.sock;
    access_log off;
    location / {{ return 200 "posted\\n"; }}
  }}
  server {{
    listen 127.0.0.1:{RELAY} http2;
    access_log off;
    location / {{ grpc_pass grpc://127.0.0.1:{NODE}; }}
  }}
}}
""")
    running.start("/usr/sbin/nginx", "-c", str(WORK / "nginx.conf"), "-p", str(WORK))
    wait_for(PLAIN)
    return lambda: [json.loads(line) for line in log.read_text().splitlines()]


def haproxy(running):
    out = WORK / "haproxy.log"
    (WORK / "haproxy.cfg").write_text(f"""
global
  log stdout format raw local0
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 2s
  log global
  log-format '{{"conn":%cp,"server":%fp,"method":"%HM","path":"%HPO","status":%ST}}'
frontend tls
  bind 127.0.0.1:{FRONT} ssl crt {WORK}/both.pem alpn h2,http/1.1
  default_backend h2c
frontend plain
  bind 127.0.0.1:{FRONT_PLAIN} proto h2
  default_backend h2c
backend h2c
  server s1 127.0.0.1:{PLAIN} proto h2
""")
    running.start("/usr/sbin/haproxy", "-db", "-f", str(WORK / "haproxy.cfg"), out=out)
    wait_for(FRONT)
    return lambda: [json.loads(line) for line in out.read_text().splitlines() if line.startswith("{")]


def node(running, port, *tls):
    out = WORK / f"node-{port}.log"
    running.start("node", str(HERE / "h2_node.js"), "server", str(port), *map(str, tls), out=out)
    wait_for(port)
    return lambda: [json.loads(line) for line in out.read_text().splitlines()]


def python_server(running):
    """An HTTP/2 server on the `h2` library that takes prior knowledge and `Upgrade: h2c`, pads, and cuts its bytes small."""
    log, stop = [], threading.Event()
    listener = socket.create_server(("127.0.0.1", PYTHON))

    def serve(sock, port):  # one thread a connection
        import h2.config, h2.connection, h2.events
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        bodies, heads = {}, {}

        def flush(cut=0):
            data = connection.data_to_send()
            for at in range(0, len(data), cut or len(data) or 1):
                sock.sendall(data[at:at + (cut or len(data))])
                if cut:
                    time.sleep(0.002)

        def answer(stream, method, path, body):
            text = f"{method} {path} {len(body)}\n".encode() * 9
            coded = gzip.compress(text)
            connection.send_headers(stream, [(":status", "404" if "missing" in path else "200"), ("content-encoding", "gzip"), ("x-note", path)])
            for at in range(0, len(coded), 40):
                connection.send_data(stream, coded[at:at + 40], pad_length=at % 7)
            connection.end_stream(stream)
            log.append(dict(conn=port, server=PYTHON, method=method, path=path, status=404 if "missing" in path else 200, sent=sha(body), got=sha(text)))
            flush(cut=23 if "cut" in path else 0)

        data = sock.recv(65536)
        if data and not data.startswith(b"PRI"):
            while b"\r\n\r\n" not in data:
                data += sock.recv(65536)
            head, _, rest = data.partition(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            fields = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
            while len(rest) < int(fields.get("content-length", 0)):
                rest += sock.recv(65536)
            body, data = rest[:int(fields.get("content-length", 0))], rest[int(fields.get("content-length", 0)):]
            method, path, _ = lines[0].split(" ")
            sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
            connection.initiate_upgrade_connection(fields["http2-settings"].encode())
            flush()
            # The preface may lag behind.
            answer(1, method, path, body)
        else:
            connection.initiate_connection()
            flush()
        while data or (data := sock.recv(65536)):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    heads[event.stream_id] = dict(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded) and event.stream_id in heads:
                    head = heads[event.stream_id]
                    answer(event.stream_id, head[":method"], head[":path"], bodies.get(event.stream_id, b""))
            flush()
            data = b""
        sock.close()

    def accept():
        listener.settimeout(0.2)
        while not stop.is_set():
            try:
                sock, (_, port) = listener.accept()
            except OSError:
                continue
            sock.settimeout(10)
            threading.Thread(target=lambda: quietly(serve, sock, port), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()

    class Stop:
        def terminate(self):
            stop.set()
            listener.close()

        def wait(self, _):
            pass

    running.append(Stop())
    return lambda: log


def quietly(work, *args):
    try:
        work(*args)
    except (OSError, ValueError):
        pass


# ---- clients ----

def curl(args, requests, keys=None):
    """One curl, one connection: REQUESTS are (method, url, body). What it logs of each."""
    command, outs = ["curl", "-s", "-k", "--compressed", *args], {}
    for n, (method, url, body) in enumerate(requests):
        out = WORK / f"curl-{time.monotonic_ns()}-{n}"
        outs[str(out)] = (out, method, body)
        command += (["--next", "-s", "-k", "--compressed", *args] if n else [])
        command += ["-o", str(out), "-w", "%{local_port} %{method} %{http_version} %{response_code} %{url_effective} %{filename_effective}\\n"]
        command += ["-I"] if method == "HEAD" else ["-X", method] if method not in ("GET", "POST") else []
        command += ["-H", "content-type: application/json", "--data-binary", body] if body is not None else []
        command += [url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **({"SSLKEYLOGFILE": str(keys)} if keys else {})})
    asked = []
    for line in done.stdout.splitlines():
        # Told as they end, which with -Z is in any order.
        port, said, version, status, url, name = line.split(" ")
        out, method, body = outs[name]
        assert version == "2" and said == method, line
        host, _, path = url.split("//", 1)[1].partition("/")
        got = out.read_bytes() if out.exists() else b""
        asked.append(dict(conn=int(port), server=int(host.rsplit(":", 1)[1]), method=method, path="/" + path, status=int(status),
                          sent=sha((body or "").encode()), got=EMPTY if method == "HEAD" else sha(got)))
    assert len(asked) == len(requests), (done.stdout, done.stderr)
    return asked


def curls(args, requests):
    """A curl and a connection for each: curl 7.88 cannot use a connection without TLS again."""
    return [one for request in requests for one in curl(args, [request])]


def httpx_client(base, paths, keys=None, bodies=()):
    """httpx with many streams at once on one connection."""
    import httpx
    server = int(base.rsplit(":", 1)[1])
    context = ssl.create_default_context(cafile=str(WORK / "cert.pem"))
    context.check_hostname = False
    if keys:
        context.keylog_filename = str(keys)

    async def go():
        async with httpx.AsyncClient(http1=False, http2=True, verify=context, base_url=base) as client:
            async def one(method, path, body):
                answer = await client.request(method, path, content=body)
                stream = answer.extensions["network_stream"]
                return dict(conn=stream.get_extra_info("client_addr")[1], server=server, method=method, path=path,
                            status=answer.status_code, sent=sha(body or b""), got=sha(answer.content))
            first = [await one("GET", paths[0], None)]
            many = await asyncio.gather(*(one("GET", path, None) for path in paths[1:]))
            # httpcore cannot send several bodies on one connection at a time.
            return first + many + [await one("POST", path, body) for path, body in bodies]

    return asyncio.run(go())


def node_client(url, keys=None):
    args = [f"--tls-keylog={keys}"] if keys else []
    done = subprocess.run(["node", *args, str(HERE / "h2_node.js"), "client", url], capture_output=True, text=True, timeout=60, check=True)
    asked = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(asked) > 15, done
    return asked


def mixed(base):
    """What curl asks of nginx."""
    return [("GET", f"{base}/file0.txt", None), ("GET", f"{base}/big.json", None), ("HEAD", f"{base}/file5.txt", None), ("GET", f"{base}/missing", None),
            ("POST", f"{base}/post/1", '{"a":1}'), ("POST", f"{base}/post/2", json.dumps({"b": "x" * 40000})), ("GET", f"{base}/refused", None),
            ("GET", f"{base}/moved", None), ("GET", f"{base}/none", None), ("DELETE", f"{base}/post/3", None), ("GET", f"{base}/file9.txt", None)]


# ---- recordings: each gives what the servers logged and what the clients did ----

def curl_prior(running, keys):
    log = nginx(running)
    return log, curls(["--http2-prior-knowledge"], mixed(f"http://127.0.0.1:{PLAIN}"))


def curl_upgrade(running, keys):
    log = python_server(running)
    base = f"http://127.0.0.1:{PYTHON}"
    asked = curls(["--http2"], [("GET", f"{base}/first", None), ("GET", f"{base}/second/cut", None), ("POST", f"{base}/third", "x" * 3000), ("GET", f"{base}/missing/cut", None)])
    return log, asked + curls(["--http2"], [("POST", f"{base}/posted", "body of the upgrade"), ("GET", f"{base}/after", None)])


def curl_tls(running, keys):
    log = nginx(running)
    asked = curl(["--http2", "--tls-max", "1.2"], mixed(f"https://127.0.0.1:{TLS12}"), keys)
    asked += curl(["--http2", "--tlsv1.3"], mixed(f"https://127.0.0.1:{TLS13}"), keys)
    return log, asked + curl(["--http2", "-Z"], [("GET", f"https://127.0.0.1:{TLS13}/file{n}.txt", None) for n in range(1, 8)], keys)


def python_httpx(running, keys):
    log = nginx(running)
    paths = [f"/file{n}.txt" for n in range(12)] + ["/big.json", "/missing", "/refused"]
    asked = httpx_client(f"http://127.0.0.1:{PLAIN}", paths, bodies=[(f"/early/{n}", b"b" * 2000 * n) for n in range(1, 5)])
    return log, asked + httpx_client(f"https://127.0.0.1:{TLS13}", paths, keys)


def python_h2(running, keys):
    log = python_server(running)
    asked = httpx_client(f"http://127.0.0.1:{PYTHON}", [f"/many/{n}" for n in range(20)] + ["/missing/one", "/small/cut"], bodies=[("/up", b"u" * 30000)])
    return log, asked


def node_node(running, keys):
    log = node(running, NODE)
    return log, node_client(f"http://127.0.0.1:{NODE}")


def node_tls(running, keys):
    log = node(running, NODE_TLS, WORK / "key.pem", WORK / "cert.pem")
    return log, node_client(f"https://127.0.0.1:{NODE_TLS}", keys)


def haproxy_nginx(running, keys):
    behind, front = nginx(running), haproxy(running)
    gets = [one for one in mixed(f"https://127.0.0.1:{FRONT}") if one[2] is None]
    asked = curl(["--http2"], gets, keys)
    asked += curls(["--http2-prior-knowledge"], [("GET", f"http://127.0.0.1:{FRONT_PLAIN}/file{n}.txt", None) for n in range(1, 8)])
    return lambda: front() + behind(), asked


def nginx_node(running, keys):
    behind = node(running, NODE)
    nginx(running)
    base = f"http://127.0.0.1:{RELAY}"
    asked = curls(["--http2-prior-knowledge"], [("GET", f"{base}/plain/1", None), ("POST", f"{base}/echo", "x" * 5000), ("GET", f"{base}/trailers", None), ("GET", f"{base}/refused", None), ("GET", f"{base}/large", None)])
    return behind, asked


RECORDINGS = {f.__name__.replace("_", "-"): f for f in (curl_prior, curl_upgrade, curl_tls, python_httpx, python_h2, node_node, node_tls, haproxy_nginx, nginx_node)}


def record(folder, name):
    pcap, keys = folder / f"{name}.pcap", folder / f"{name}.keys"
    keys.unlink(missing_ok=True)
    running = Running()
    dump = subprocess.Popen(["tcpdump", "-i", "lo", "-U", "-s", "0", "-B", "16384", "--immediate-mode", "-w", str(pcap),
                             f"tcp portrange {PLAIN}-{RELAY}"], stderr=subprocess.PIPE, text=True)
    dump.stderr.readline()
    time.sleep(0.4)
    try:
        log, asked = RECORDINGS[name](running, keys)
        time.sleep(0.4)
        running.stop()
        exchanges = log()
        time.sleep(0.3)
    finally:
        running.stop()
        dump.send_signal(signal.SIGINT)
        dump.communicate()
    for log in (WORK / "nginx.log", WORK / "haproxy.log"):
        log.unlink(missing_ok=True)
    order = lambda one: (one["server"], one["conn"], one["path"])
    truth = {"name": name, "exchanges": sorted(exchanges, key=order), "asked": sorted(asked, key=order)}
    (folder / f"{name}.truth.json").write_text("{\n" + ",\n".join(
        f' "{key}": ' + (json.dumps(value) if isinstance(value, str) else "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]") for key, value in truth.items()) + "\n}\n")
    print(f"{name}: {pcap.stat().st_size} bytes, {len(exchanges)} exchanges logged by servers, {len(asked)} by clients")


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", WORK / "key.pem", "-out", WORK / "cert.pem", "-days", "3650",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, stderr=subprocess.DEVNULL)
    (WORK / "both.pem").write_text((WORK / "key.pem").read_text() + (WORK / "cert.pem").read_text())
    os.chmod(WORK, 0o755)
    for name in sys.argv[2:] or RECORDINGS:
        record(folder, name)


if __name__ == "__main__":
    main()
