"""A small real MCP gateway, its upstreams and its clients, over real sockets: Python's standard library and nothing else.

    scene.py upstream ADDR:PORT NAME                     serves MCP; answers 401 to every token that begins with `bad`
    scene.py gateway ADDR:PORT NAME=ADDR:PORT...         hides what its upstreams refuse, as the incident's gateway did
    scene.py client ADDR:PORT TOKEN COUNT [SECONDS]      lists tools COUNT times and prints when each answer had come

The gateway asks every upstream on a fresh connection (initialize, initialized, tools/list) with the caller's credential, and answers 200
with what it got. Servers print `ready` when they listen.
"""
import http.client, json, sys, time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = "2025-06-18"


def pair(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


class Server(ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 512

    def __init__(self, address, handler):
        import socket
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def body(self):
        return json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")

    def answer(self, status, message=None, headers=()):
        body = b"" if message is None else json.dumps(message).encode()
        head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers)
        if body:
            head += "Content-Type: application/json\r\n"
        # head and body in one segment, as most servers send them
        self.wfile.write(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def do_DELETE(self):
        self.answer(200)

    def do_GET(self):
        self.answer(405)


def result(ask, value):
    return {"jsonrpc": "2.0", "id": ask.get("id"), "result": value}


INFO = {"protocolVersion": VERSION, "capabilities": {"tools": {}}, "serverInfo": {"name": "scene", "version": "1"}}


def upstream(address, name):
    class Upstream(Handler):
        def do_POST(self):
            ask = self.body()
            if self.headers.get("authorization", "").startswith("Bearer bad"):
                self.answer(401, {"error": "invalid_token"}, [("WWW-Authenticate", 'Bearer error="invalid_token"')])
            elif ask["method"] == "initialize":
                self.answer(200, result(ask, INFO))
            elif ask["method"] == "tools/list":
                tools = [{"name": f"{name}_{n}", "inputSchema": {"type": "object"}} for n in range(3)]
                self.answer(200, result(ask, {"tools": tools}))
            else:
                self.answer(202)
    return Server(pair(address), Upstream)


def visit(name, address, token):
    """One visit upstream; the tools, or None where it failed."""
    link = http.client.HTTPConnection(*address, timeout=10)
    try:
        for ident, method, params in ((0, "initialize", {**INFO, "clientInfo": {"name": "gw", "version": "1"}}), (None, "notifications/initialized", {}), (1, "tools/list", {})):
            ask = {"jsonrpc": "2.0", "method": method, "params": params}
            if ident is not None:
                ask["id"] = ident
            link.request("POST", "/mcp", json.dumps(ask), {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": "application/json, text/event-stream"})
            said = link.getresponse()
            text = said.read()
            if said.status >= 400:
                return None
        return [{**tool, "name": f"{name}-{tool['name']}"} for tool in json.loads(text)["result"]["tools"]]
    except OSError:
        return None
    finally:
        link.close()


def gateway(address, upstreams):
    upstreams = [(name, pair(where)) for name, where in (one.split("=") for one in upstreams)]

    class Gateway(Handler):
        def do_POST(self):
            ask = self.body()
            if ask["method"] == "initialize":
                self.answer(200, result(ask, INFO))
            elif ask["method"] == "tools/list":
                token = self.headers.get("authorization", "").removeprefix("Bearer ")
                with ThreadPoolExecutor(len(upstreams)) as pool:
                    lists = list(pool.map(lambda one: visit(*one, token), upstreams))
                self.answer(200, result(ask, {"tools": [tool for tools in lists for tool in tools or ()]}))
            else:
                self.answer(202)
    return Server(pair(address), Gateway)


def client(address, token, count, pause=0.0):
    link = http.client.HTTPConnection(*pair(address), timeout=20)
    for n in range(int(count)):
        ask = {"jsonrpc": "2.0", "id": n, "method": "tools/list", "params": {}}
        begun = time.time_ns()
        link.request("POST", "/mcp", json.dumps(ask), {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": "application/json, text/event-stream"})
        tools = json.loads(link.getresponse().read())["result"]["tools"]
        print(json.dumps({"begun": begun, "done": time.time_ns(), "tools": len(tools)}), flush=True)
        time.sleep(float(pause))
    link.close()


def main(role, *words):
    if role == "client":
        return client(*words)
    server = upstream(*words) if role == "upstream" else gateway(words[0], words[1:])
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
