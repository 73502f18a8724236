#!/usr/bin/env python3
"""Records the official MCP SDK (PyPI `mcp`, 2.3 or later) on all three sides: clients, a gateway that hides failures, upstream servers.

    make_mcp_sdk.py FOLDER      writes sdk.pcap and sdk.truth.json

Needs root (tcpdump).  The gateway asks one upstream for each request with the client's own token and answers with an empty list when that
fails.  A truth line holds what the client got, what the upstream server's own log says, and so what the verdict must be.
"""
import asyncio, json, pathlib, signal, subprocess, sys, threading, time

import httpx2, uvicorn
from mcp import Client, types
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.server import MCPServer, Server

GATEWAY, SSE, JSON, LEGACY = range(18701, 18705)
LOG = []


def upstream(port, app):
    """An upstream that refuses tokens called bad, and logs every request."""
    async def guarded(scope, receive, send):
        if scope["type"] != "http":
            return await app(scope, receive, send)
        token = dict(scope["headers"]).get(b"authorization", b"").decode()
        entry = dict(server=port, method=scope["method"], token=token.rpartition(" ")[2], status=None)
        LOG.append(entry)
        if "bad" in token:
            entry["status"] = 401
            await send({"type": "http.response.start", "status": 401, "headers": [(b"www-authenticate", b'Bearer error="invalid_token"'), (b"content-length", b"0")]})
            return await send({"type": "http.response.body", "body": b""})

        async def noting(message):
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
            await send(message)
        await app(scope, receive, noting)
    return serve(port, guarded)


def serve(port, app):
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    return server


def tools(count):
    server = MCPServer("weather")
    for n in range(count):
        server.add_tool(lambda city="Oslo": f"fine in {city}", name=f"tool{n}", description="A tool")
    return server


def connect(port, token, legacy):
    """A transport with a token."""
    headers = {"authorization": f"Bearer {token}"}
    if legacy:
        return sse_client(f"http://127.0.0.1:{port}/sse", headers=headers)
    return streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=httpx2.AsyncClient(headers=headers, timeout=20))


async def list_tools(context, params):
    headers = context.request.headers
    port, mode = int(headers["x-port"]), headers["x-mode"]
    try:
        async with Client(connect(port, headers["authorization"].split(" ")[1], port == LEGACY), mode=mode) as client:
            return types.ListToolsResult(tools=(await client.list_tools()).tools)
    except BaseException as wrong:
        if isinstance(wrong, asyncio.CancelledError):
            raise
        return types.ListToolsResult(tools=[])


async def ask(down, up, port, token):
    headers = {"authorization": f"Bearer {token}", "x-port": str(port), "x-mode": up}
    http = httpx2.AsyncClient(headers=headers, timeout=30)
    first = len(LOG)
    async with Client(streamable_http_client(f"http://127.0.0.1:{GATEWAY}/mcp", http_client=http), mode=down) as client:
        got = (await client.list_tools()).tools
    await asyncio.sleep(0.3)
    logged = [entry for entry in LOG[first:] if entry["token"] == token]
    refused = any(entry["status"] == 401 for entry in logged)
    assert bool(got) != refused, (got, logged)
    return dict(down=down, up=up, port=port, items=len(got), verdict="swallowed" if refused else "healthy", logged=[f"{entry['method']} {entry['status']}" for entry in logged])


async def run():
    done = []
    for down in ("legacy", "auto"):
        for port, up in ((SSE, "legacy"), (SSE, "auto"), (JSON, "legacy"), (JSON, "auto"), (LEGACY, "legacy")):
            for good in (True, False):
                done.append(await ask(down, up, port, f"{'good' if good else 'bad'}-{down}-{up}-{port}"))
    return done


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    dump = subprocess.Popen(["tcpdump", "-i", "lo", "-U", "-s", "0", "-B", "16384", "--immediate-mode", "-w", str(folder / "sdk.pcap"),
                             f"tcp portrange {GATEWAY}-{LEGACY}"], stderr=subprocess.PIPE, text=True)
    try:
        dump.stderr.readline()
        time.sleep(0.4)
        upstream(SSE, tools(3).streamable_http_app())
        upstream(JSON, tools(2).streamable_http_app(json_response=True))
        upstream(LEGACY, tools(4).sse_app())
        serve(GATEWAY, Server("gateway", on_list_tools=list_tools).streamable_http_app())
        done = asyncio.run(run())
        time.sleep(0.5)
    finally:
        dump.send_signal(signal.SIGINT)
        dump.communicate()
    (folder / "sdk.truth.json").write_text(json.dumps({"gateway": f"127.0.0.1:{GATEWAY}", "asked": done}, indent=1))
    print(f"{len(done)} lists asked for")


if __name__ == "__main__":
    main()
    import os
    os._exit(0)
