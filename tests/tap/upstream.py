"""An HTTPS server for the tests of `--tls`: answers what the path asks for, and keeps nothing.

upstream.py PORT CERT KEY    /401: refuses as an MCP server does; /pattern/N: N bytes, each told by its place; POST anything: its length
"""
import http.server
import ssl
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.startswith("/pattern/"):
            self.answer(200, pattern(int(self.path.rsplit("/", 1)[1])))
        else:
            self.answer(404, b"")

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        left = length
        while left:
            left -= len(self.rfile.read(min(left, 65536)))
        if self.path == "/401":
            self.answer(401, b'{"error":"invalid_token"}', Content_Type="application/json",
                        WWW_Authenticate='Bearer error="invalid_token"')
        else:
            self.answer(200, str(length).encode())

    def log_message(self, *args):
        pass


def pattern(length):
    """Bytes that tell their own place: the same as in tests/ebpf.rs."""
    words = (place.to_bytes(4, "little") for place in range((length + 3) // 4))
    return b"".join(words)[:length]


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def finish_request(self, request, address):
        # The handshake in the connection's own thread: a slow one keeps nobody waiting.
        context = self.context
        try:
            with context.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, address)
        except (ssl.SSLError, OSError):
            pass


if __name__ == "__main__":
    server = Server(("127.0.0.1", int(sys.argv[1])), Handler)
    server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.context.load_cert_chain(sys.argv[2], sys.argv[3])
    server.serve_forever()
