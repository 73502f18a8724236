"""Drives real clients against the gateway and logs what they saw: the other half of the truth.

    clients.py PLAN.json LOG.jsonl

Runs in the peers' venv (mcp 1.x with httpx, or mcp 2.x with httpx2).  Three kinds of clients: `raw` (HTTP POSTs over one keep-alive
connection), `curl` (the program), `sdk` (the `mcp` SDK's own session over a watched connection).  Every HTTP request gets a lab id in
`x-lab-request-id`, which is overwritten in the packets afterwards, and one line in the log.
"""
import asyncio, itertools, json, sys, time, zlib

import tokens

try:
    import httpx
except ImportError:
    import httpx2 as httpx

ACCEPT = "application/json, text/event-stream"
MODERN = "2026-07-28"


class Log:
    def __init__(self, path, first):
        self.file, self.ids = open(path, "a", buffering=1), itertools.count(first)

    def begin(self, kind, method, path, body, secret):
        rpc = json.loads(body) if body else {}
        return {"id": "r%06d" % next(self.ids), "kind": kind, "http_method": method, "path": path, "rpc_method": rpc.get("method"), "rpc_id": rpc.get("id"),
                "token": tokens.fingerprint(secret), "t_send": time.time(), "t_end": None, "client": None, "gateway": None, "status": None, "content_type": None}

    def end(self, entry, raw, complete):
        """`raw`: the body's bytes as far as they came."""
        entry["t_end"] = time.time()
        entry["body"], answered = summary(raw, entry)
        if not (complete or answered):
            entry["body_incomplete"] = True
        self.file.write(json.dumps(entry) + "\n")


class Watched(httpx.AsyncBaseTransport):
    """A connection pool that notes each request and its answer as they pass."""

    def __init__(self, log, kind):
        self.log, self.kind, self.inner, self.sides = log, kind, httpx.AsyncHTTPTransport(), (None, None)

    async def handle_async_request(self, request):
        body = await request.aread()
        path = request.url.raw_path.decode()
        kind = "get-stream" if request.method == "GET" and "/mcp-rest/" not in path else self.kind
        entry = self.log.begin(kind, request.method, path, body, request.headers.get("authorization"))
        request.headers["x-lab-request-id"] = entry["id"]

        async def trace(event, info):
            """The moments that the pool itself knows: a busy machine may hold a request for seconds before it is sent."""
            if event == "connection.connect_tcp.complete":
                self.sides = sides(info["return_value"])
            elif event == "http11.send_request_headers.started":
                entry["t_send"] = time.time()
        request.extensions = {**request.extensions, "trace": trace}
        try:
            response = await self.inner.handle_async_request(request)
        except BaseException as e:
            entry.update(client_error=type(e).__name__, client=self.sides[0], gateway=self.sides[1])  # the socket is closed by now
            self.log.end(entry, b"", False)
            raise
        entry["client"], entry["gateway"] = sides(response.extensions["network_stream"])
        note_head(entry, response.status_code, {k.lower(): v for k, v in response.headers.items()})
        response.stream = Tee(response.stream, entry, self.log)
        return response

    async def aclose(self):
        await self.inner.aclose()


def sides(socket):
    """Both addresses of a connection, the client's first."""
    return tuple("%s:%d" % tuple(socket.get_extra_info(side)[:2]) for side in ("client_addr", "server_addr"))


class Tee(httpx.AsyncByteStream):
    """An answer's body on its way to the client; logged when it ends or is given up."""

    def __init__(self, inner, entry, log):
        self.inner, self.entry, self.log, self.seen, self.logged = inner, entry, log, [], False

    async def __aiter__(self):
        async for chunk in self.inner:
            self.seen.append(chunk)
            yield chunk
        self.close(True)

    async def aclose(self):
        self.close(False)
        await self.inner.aclose()

    def close(self, complete):
        if not self.logged:
            self.logged = True
            self.log.end(self.entry, b"".join(self.seen), complete)


def note_head(entry, status, headers):
    entry.update(status=status, t_response_start=time.time(), content_type=headers.get("content-type", "").partition(";")[0] or None,
                 framing="chunked" if headers.get("transfer-encoding") == "chunked" else "content-length" if "content-length" in headers else None,
                 www_authenticate=headers.get("www-authenticate"), coding=headers.get("content-encoding"))


def summary(raw, entry):
    """What the body said, and whether the request was answered in it."""
    out = {"bytes": len(raw)}
    if entry.pop("coding", None) == "gzip":
        raw = zlib.decompressobj(31).decompress(raw)
    text, answer = raw.decode("utf-8", "replace"), None
    lines = [line[5:] for line in text.splitlines() if line.startswith("data:")] if entry["content_type"] == "text/event-stream" else [text]
    for line in lines:
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if isinstance(message, dict) and ("result" in message or "error" in message or "detail" in message or entry["rpc_method"] is None):
            answer = message
    if answer is None:
        return out, False
    if answer.get("error") is not None:
        out["error"] = answer["error"] if isinstance(answer["error"], str) else json.dumps(answer["error"])
    if "detail" in answer:
        out["detail"] = answer["detail"]
    result = answer if "tools" in answer else answer.get("result") or {}
    for what in ("tools", "prompts", "resources"):
        if isinstance(result.get(what), list):
            out[what], out[what + "_names"] = len(result[what]), [x.get("name") for x in result[what]]
    if "isError" in result or "content" in result:
        out["isError"], out["text"] = result.get("isError", False), json.dumps(result.get("content"))[:200]
    if isinstance(result.get("_meta"), dict) and "litellm.ai/server_outcomes" in result["_meta"]:
        out["declared"] = result["_meta"]["litellm.ai/server_outcomes"]
    return out, True


def rpc_body(request, rpc_id):
    params = dict(request.get("params") or {})
    if request.get("era") == MODERN:
        params["_meta"] = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientInfo": {"name": "lab", "version": "1"},
                           "io.modelcontextprotocol/clientCapabilities": {}}
    body = {"jsonrpc": "2.0", "id": rpc_id, "method": request["rpc"]}
    return json.dumps({**body, "params": params} if params else body)


def headers_of(plan, request):
    out = {"x-litellm-api-key": "Bearer " + plan["gateway_key"], **request.get("headers", {})}
    if request.get("token"):
        out["Authorization"] = "Bearer " + request["token"]
    if request["http"] == "POST":
        out.update({"content-type": "application/json", "accept": ACCEPT})
    if request.get("era") == MODERN:
        out.update({"mcp-protocol-version": MODERN, "mcp-method": request["rpc"]})
    return out


async def raw(plan, client, log):
    async with httpx.AsyncClient(transport=Watched(log, "raw"), timeout=120) as http:
        for n, request in enumerate(client["requests"], 1):
            await asyncio.sleep(request.get("pause", 0))
            body = rpc_body(request, n) if request["http"] == "POST" else None

            async def ask():
                async with http.stream(request["http"], plan["base"] + request["path"], headers=headers_of(plan, request), content=body) as response:
                    async for _ in response.aiter_raw():
                        pass
            await within(request.get("timeout", 120), ask())


async def curl(plan, client, log):
    for n, request in enumerate(client["requests"], 1):
        await asyncio.sleep(request.get("pause", 0))
        headers, body = headers_of(plan, request), rpc_body(request, n) if request["http"] == "POST" else None
        entry = log.begin("curl", request["http"], request["path"], body, headers.get("Authorization"))
        headers["x-lab-request-id"] = entry["id"]
        words = ["curl", "-sS", "-i", "-N", "-X", request["http"], "-m", str(request.get("timeout", 120)), "-w", "%{stderr}%{json}", plan["base"] + request["path"]]
        words += [w for k, v in headers.items() for w in ("-H", f"{k}: {v}")] + (["--data-binary", body] if body else [])
        process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        out, told = await process.communicate()
        told = json.loads(told[told.index(b"{"):])
        head, _, payload = out.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(": ", 1) for line in head.decode("latin-1").split("\r\n")[1:] if ": " in line)
        entry["client"], entry["gateway"] = f"{told['local_ip']}:{told['local_port']}", f"{told['remote_ip']}:{told['remote_port']}"
        if told["http_code"]:
            note_head(entry, told["http_code"], fields)
            entry["t_response_start"] = entry["t_send"] + told["time_starttransfer"]
        log.end(entry, payload, process.returncode == 0)


async def sdk(plan, client, log):
    """One session of the SDK's own client: what it sends is its business (initialize, notifications, GET stream, DELETE)."""
    from mcp.client.streamable_http import streamable_http_client
    headers = {"x-litellm-api-key": "Bearer " + plan["gateway_key"], "Authorization": "Bearer " + client["token"]}
    url = plan["base"] + client["path"]

    async def session():
        async with httpx.AsyncClient(transport=Watched(log, "sdk"), headers=headers, timeout=60) as http:
            if plan["sdk"] == 1:
                from mcp import ClientSession
                async with streamable_http_client(url, http_client=http) as (read, write, _), ClientSession(read, write) as own:
                    await own.initialize()
                    await act(own)
            else:
                from mcp import Client
                async with Client(streamable_http_client(url, http_client=http), mode=client.get("mode", "auto")) as own:
                    await act(own)

    async def act(own):
        listed = await own.list_tools()
        if client.get("call") and listed.tools:
            await own.call_tool(listed.tools[0].name, {"place": "Oslo"})
    await within(client.get("timeout", 60), session())


async def within(seconds, work):
    """Does it, or gives up: a client that meets a failure is what the lab is for, so it is noted and not raised."""
    try:
        await asyncio.wait_for(work, seconds)
    except (Exception, asyncio.CancelledError) as e:
        print(f"client: {type(e).__name__}: {e}", file=sys.stderr)


async def main(plan, log):
    kinds = {"raw": raw, "curl": curl, "sdk": sdk}

    async def run(client):
        await asyncio.sleep(client.get("delay", 0))
        await kinds[client["kind"]](plan, client, log)
    if plan["together"]:
        await asyncio.gather(*(run(c) for c in plan["clients"]))
    else:
        for c in plan["clients"]:
            await run(c)


if __name__ == "__main__":
    with open(sys.argv[1]) as f:
        plan = json.load(f)
    asyncio.run(main(plan, Log(sys.argv[2], plan["first_id"])))
