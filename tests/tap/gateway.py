"""A gateway as bad as the real ones, on the standard library alone: asks an HTTPS upstream, is refused, and answers with an empty list.

gateway.py PORT UPSTREAM-PORT [kept|kept-socket]    TLS over memory BIOs, as asyncio does it: OpenSSL knows no socket.
    kept: one upstream connection, opened at the start, for all requests; kept-socket: the same by http.client, over a socket
"""
import asyncio
import contextlib
import http.client
import json
import ssl
import sys

context = ssl._create_unverified_context()
how = sys.argv[3] if len(sys.argv) > 3 else ""
kept = None
turn = asyncio.Lock()


async def upstream(port, token, message):
    async with turn if how else contextlib.nullcontext():
        if how == "kept-socket":
            return await asyncio.to_thread(ask_over_socket, token, message)
        reader, writer = kept or await connect(port)
        return await ask(reader, writer, port, token, message)


async def connect(port):
    return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")


def ask_over_socket(token, message):
    headers = {"Authorization": token.decode(), "Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    kept.request("POST", "/401", json.dumps(message), headers)
    answer = kept.getresponse()
    answer.read()
    return answer.status


async def ask(reader, writer, port, token, message):
    body = json.dumps(message).encode()
    writer.write(
        b"POST /401 HTTP/1.1\r\nHost: localhost:%d\r\nAuthorization: %s\r\nContent-Type: application/json\r\n"
        b"Accept: application/json, text/event-stream\r\nContent-Length: %d\r\n\r\n" % (port, token, len(body))
    )
    await writer.drain()
    writer.write(body)
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    await reader.readexactly(length)
    if not kept:
        writer.close()
    return int(head.split()[1])


async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
            asked = json.loads(await reader.readexactly(int(fields[b"content-length"])))
            token = head.split(b"uthorization: ")[1].split(b"\r\n")[0]
            first = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "capabilities": {},
                     "clientInfo": {"name": "gateway", "version": "1"}}}
            await upstream(int(sys.argv[2]), token, first)
            body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": {"tools": []}}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    global kept
    if how == "kept":
        kept = await connect(int(sys.argv[2]))
    elif how == "kept-socket":
        kept = http.client.HTTPSConnection("127.0.0.1", int(sys.argv[2]), context=context)
        kept.connect()
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=256)
    async with server:
        await server.serve_forever()


asyncio.run(main())
