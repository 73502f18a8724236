#!/usr/bin/env python3
"""Records captures/tls/gateway-*.pcap: a gateway, made up here, whose TLS upstreams fail in the handshake.

The gateway does what the real ones did: whatever goes wrong with an upstream server, the client gets 200 with an empty list. Its
routes lead to upstream servers that fail in different ways, each on an address of its own. Needs root (tcpdump), OpenSSL, Python 3.8.

    tests/captures/make_tls_gateway.py

gateway-handshakes.pcap (with its key log):
    /mcp/good      answers with two tools
    /mcp/empty     answers with an empty list: nothing is wrong
    /mcp/ca        has a certificate that the gateway does not trust: the gateway sends an alert
    /mcp/cipher    has no cipher suite in common with the gateway: the server sends an alert
    /mcp/version   speaks only TLS 1.2, the gateway only TLS 1.3: the server sends an alert
    /mcp/reset     resets the connection in answer to the ClientHello
    /mcp/closed    closes it
    /mcp/client    wants a client certificate in TLS 1.3: the alert comes encrypted, after the handshake
gateway-failing.pcap: /mcp/ca alone, with nothing else by which a gateway could be found.
"""

import http.client
import json
import pathlib
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OUT = pathlib.Path(__file__).resolve().parents[2] / "captures" / "tls"
WORK = pathlib.Path(tempfile.mkdtemp())
GATEWAY = ("127.0.0.1", 4400)
PORT = 4443
ROUTES = ["good", "empty", "ca", "cipher", "version", "reset", "closed", "client"]
ADDRESS = {route: f"127.0.0.{41 + n}" for n, route in enumerate(ROUTES)}


def certificate(name):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", WORK / f"{name}.key", "-out", WORK / f"{name}.crt",
         "-days", "3650", "-subj", "/CN=upstream.test", "-addext", "subjectAltName=DNS:upstream.test"],
        check=True, capture_output=True)


class Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        tools = [{"name": name, "inputSchema": {"type": "object"}} for name in self.server.tools]
        body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": {"tools": tools}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class TlsServer(ThreadingHTTPServer):
    daemon_threads = True

    def finish_request(self, request, address):
        try:
            super().finish_request(self.context.wrap_socket(request, server_side=True), address)
        except (ssl.SSLError, OSError):
            pass


def serve(route):
    if route in ("reset", "closed"):
        listener = socket.create_server((ADDRESS[route], PORT))

        def hang_up():
            while True:
                connection, _ = listener.accept()
                connection.recv(4096)
                if route == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        return
    server = TlsServer((ADDRESS[route], PORT), Upstream)
    server.tools = [] if route == "empty" else ["forecast", "alerts"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    name = "strange" if route == "ca" else "known"
    context.load_cert_chain(WORK / f"{name}.crt", WORK / f"{name}.key")
    if route == "cipher":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    if route == "version":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if route == "client":
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(WORK / "known.crt")
    server.context = context
    threading.Thread(target=server.serve_forever, daemon=True).start()


def ask(route, asked, credential):
    context = ssl.create_default_context(cafile=WORK / "known.crt")
    context.keylog_filename = str(WORK / "keys")
    if route == "cipher":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-RSA-AES256-GCM-SHA384")
    if route == "version":
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    plain = socket.create_connection((ADDRESS[route], PORT), timeout=5)
    upstream = http.client.HTTPConnection("upstream.test")
    try:
        upstream.sock = context.wrap_socket(plain, server_hostname="upstream.test")
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": credential}
        upstream.request("POST", "/mcp", json.dumps(asked), headers)
        return json.loads(upstream.getresponse().read())["result"]["tools"]
    except (OSError, http.client.HTTPException):
        return []
    finally:
        upstream.close()
        plain.close()


class Gateway(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        tools = ask(self.path.rsplit("/", 1)[1], {**asked, "id": 1}, self.headers["Authorization"])
        body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": {"tools": tools}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def record(name, routes):
    (WORK / "keys").write_bytes(b"")
    dump = subprocess.Popen(
        ["tcpdump", "-i", "lo", "-U", "-s", "0", "-w", OUT / f"{name}.pcap", f"tcp port {GATEWAY[1]} or tcp port {PORT}"],
        stderr=subprocess.DEVNULL)
    time.sleep(1)
    client = http.client.HTTPConnection(*GATEWAY)
    for n, route in enumerate(routes):
        body = json.dumps({"jsonrpc": "2.0", "id": 100 + n, "method": "tools/list"})
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
                   "Authorization": f"Bearer lab-token-{route}"}
        client.request("POST", f"/mcp/{route}", body, headers)
        tools = json.loads(client.getresponse().read())["result"]["tools"]
        assert len(tools) == (2 if route == "good" else 0), (route, tools)
        time.sleep(0.1)
    client.close()
    time.sleep(0.7)
    dump.terminate()
    dump.wait()
    (OUT / f"{name}.keys").write_bytes((WORK / "keys").read_bytes())


def main():
    certificate("known")
    certificate("strange")
    for route in ROUTES:
        serve(route)
    gateway = ThreadingHTTPServer(GATEWAY, Gateway)
    gateway.daemon_threads = True
    threading.Thread(target=gateway.serve_forever, daemon=True).start()
    record("gateway-handshakes", ROUTES)
    record("gateway-failing", ["ca"] * 3)


main()
