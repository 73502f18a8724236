"""A gateway as bad as the real ones, on the standard library alone: asks an HTTPS upstream, is refused, and answers with an empty list.

gateway.py PORT UPSTREAM-PORT    TLS over memory BIOs, as asyncio does it: OpenSSL knows no socket
"""
import asyncio
import json
import ssl
import sys

context = ssl._create_unverified_context()


async def upstream(port, token, message):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
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
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=256)
    async with server:
        await server.serve_forever()


asyncio.run(main())
