"""The upstream MCP servers: the real `mcp` SDK behind a token check, with an ASGI log of every request that reached them.

    upstream.py LOG.jsonl SERVERS.json

Runs in a venv of its own (never the gateway's), with mcp 1.x or 2.x.  One process serves all of SERVERS.json, a list of
{name, host, port, mode: sse | json | gzip, cert, key}.  The log is half of the truth: written here, on the server's side, so that it
knows what was answered and from which port the gateway asked, whatever the gateway or an analyzer make of it.  Two lines a request
(`begin` when it was read, `end` when it was over), so that a stream which is still open can be told from one that never was.
"""
import asyncio, contextlib, itertools, json, sys, time

import uvicorn
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse
from mcp.server.transport_security import TransportSecuritySettings

import tokens

try:
    from mcp.server.fastmcp import FastMCP  # mcp 1.x
except ImportError:
    FastMCP = None
    from mcp.server.mcpserver import MCPServer

ANY_HOST = TransportSecuritySettings(enable_dns_rebinding_protection=False)
TOOLS = {
    "weather": ["get_forecast", "get_alerts", "get_current"],
    "docs": ["search_docs", "read_page", "list_pages", "page_history"],
    "tickets": ["create_ticket", "find_tickets", "close_ticket"],
    "vault": ["list_secrets", "rotate_secret"],
    "safe": ["open_safe", "count_coins", "close_safe"],
    "modern": ["plan_route", "list_stops"],
}


def mcp_app(server, filled):
    """A FastMCP (or MCPServer) application; `filled` or truly without tools, prompts and resources."""
    json_response = server["mode"] != "sse"
    if FastMCP:
        mcp = FastMCP(server["name"], json_response=json_response, transport_security=ANY_HOST)
    else:
        mcp = MCPServer(server["name"])
    if filled:
        fill(mcp, server["name"])
    if FastMCP:
        return mcp.streamable_http_app()
    return mcp.streamable_http_app(json_response=json_response, transport_security=ANY_HOST)


def fill(mcp, name):
    for tool in TOOLS[name]:
        def run(place: str = "Oslo", _tool=tool) -> str:
            return f"{name}/{_tool}: {place}"
        run.__name__ = tool
        run.__signature__ = run_signature()
        mcp.tool(name=tool, description=f"{tool.replace('_', ' ')} at the {name} server")(run)

    @mcp.prompt(name=f"{name}_summary")
    def summary() -> str:
        return "Sum it up."

    @mcp.resource(f"lab://{name}/readme", name=f"{name}_readme")
    def readme() -> str:
        return "Read me."


def run_signature():
    """A tool's arguments as a client shall see them: the loop's own variables must not become arguments."""
    import inspect
    return inspect.Signature([inspect.Parameter("place", inspect.Parameter.POSITIONAL_OR_KEYWORD, default="Oslo", annotation=str)], return_annotation=str)


class Watch:
    """ASGI: asks the token what to do, does it, and logs what was asked and what was answered."""

    numbers = itertools.count()

    def __init__(self, server, log):
        self.name, self.log = server["name"], log
        self.full, self.empty = mcp_app(server, True), mcp_app(server, False)
        gzip = (lambda app: GZipMiddleware(app, minimum_size=200)) if server["mode"] == "gzip" else (lambda app: app)
        self.answers = {"ok": gzip(self.full), "empty": gzip(self.empty)}

    async def __call__(self, scope, receive, send):
        headers = {k.decode().lower(): v.decode("latin-1") for k, v in scope["headers"]}
        body, asked = b"", time.time()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        rpc = parsed(body)
        entry = {
            "n": next(self.numbers), "server": self.name, "gateway_side": "%s:%d" % tuple(scope["client"][:2]), "upstream": "%s:%d" % tuple(scope["server"][:2]),
            "t_request": asked, "t_response_start": None, "t_end": None, "http_method": scope["method"], "path": scope["path"],
            "rpc_method": rpc.get("method"), "rpc_id": rpc.get("id"), "tool": (rpc.get("params") or {}).get("name") if rpc.get("method") == "tools/call" else None,
            "status": None, "content_type": None, "mcp_session_id": headers.get("mcp-session-id"),
            "lab_id": headers.get("x-lab-request-id"), "token": tokens.fingerprint(headers.get("authorization")),
        }
        self.write("begin", entry)

        async def replay():
            nonlocal body
            if body is not None:
                taken, body = body, None
                return {"type": "http.request", "body": taken, "more_body": False}
            return await receive()

        async def note(message):
            if message["type"] == "http.response.start":
                found = {k.decode().lower(): v.decode("latin-1") for k, v in message["headers"]}
                entry.update(status=message["status"], t_response_start=time.time(), content_type=found.get("content-type", "").partition(";")[0] or None,
                             mcp_session_id=found.get("mcp-session-id") or entry["mcp_session_id"])
            await send(message)

        does = tokens.check(headers.get("authorization"), self.name)
        try:
            await self.do(does, rpc)(scope, replay, note)
        finally:
            entry["t_end"] = time.time()
            self.write("end", entry)

    def do(self, does, rpc):
        """The ASGI application that answers this request."""
        if does == "401list":
            wanted = rpc.get("method") or ""
            does = "401" if wanted.endswith("/list") or wanted == "tools/call" else "ok"
        if does == "401":
            return refusal(401, "invalid_token", "The access token expired")
        if does == "403":
            return refusal(403, "insufficient_scope", "The access token lacks a scope")
        if does == "500":
            return JSONResponse({"error": "the server broke"}, 500)
        return hang if does == "hang" else self.answers[does]

    def write(self, event, entry):
        self.log.write(json.dumps({"event": event, **entry}) + "\n")
        self.log.flush()


def refusal(status, error, why):
    return JSONResponse({"error": error, "error_description": why}, status, {"www-authenticate": f'Bearer error="{error}", error_description="{why}"'})


async def hang(scope, receive, send):
    """Never answers; ends when the peer goes away."""
    while (await receive())["type"] != "http.disconnect":
        pass


def parsed(body):
    try:
        rpc = json.loads(body)
    except ValueError:
        return {}
    return rpc if isinstance(rpc, dict) else {}


class Server(uvicorn.Server):
    """One of several in this process: signals keep their default meaning, which is to end it."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield


async def main(log_path, servers):
    with open(log_path, "a", buffering=1) as log:
        async with contextlib.AsyncExitStack() as stack:
            running = []
            for server in servers:
                watch = Watch(server, log)
                for app in (watch.full, watch.empty):
                    await stack.enter_async_context(app.router.lifespan_context(app))
                config = uvicorn.Config(watch, host=server["host"], port=server["port"], lifespan="off", log_level="warning", timeout_keep_alive=60,
                                        ssl_certfile=server.get("cert"), ssl_keyfile=server.get("key"))
                running.append(Server(config).serve())
            await asyncio.gather(*running)


if __name__ == "__main__":
    with open(sys.argv[2]) as f:
        asyncio.run(main(sys.argv[1], json.load(f)))
