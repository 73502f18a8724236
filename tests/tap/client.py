"""Makes TLS connections for the tests of `--tls`.

client.py PORT HOW COUNT SIZE [WAIT]    COUNT connections at once, each sends SIZE bytes that tell their place, and gets as many

HOW: sync (a socket BIO), async (memory BIOs), uvloop (the same on libuv), fork (each connection in a child of this process), httpx,
httpx-async, aiohttp; get (no body, one answer of SIZE bytes at /body)
"""
import asyncio
import gc
import os
import ssl
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(__file__))
from upstream import pattern

port, how, count, size = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
context = ssl._create_unverified_context()
body = pattern(size)


def heads(n):
    post = b"POST /%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (n, size)
    get = b"GET /pattern/%d HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % size
    return post, get


def sync(n):
    import socket

    post, get = heads(n)
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost") as tls:
        tls.sendall(post + body)
        answer = tls.recv(65536)
        while b"\r\n\r\n" not in answer or not answer.endswith(str(size).encode()):
            answer += tls.recv(65536)
        tls.sendall(get)
        got = b""
        while True:
            more = tls.recv(65536)
            if not more:
                break
            got += more
        assert got.split(b"\r\n\r\n", 1)[1] == body


async def memory(n):
    post, get = heads(n)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    writer.write(post + body)
    await writer.drain()
    await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(len(str(size)))
    # uvloop gives up what it has not handed over yet when the other end closes.
    writer.write(get.replace(b"Connection: close\r\n", b""))
    await writer.drain()
    await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(size) == body
    writer.close()


def url(path):
    return f"https://127.0.0.1:{port}/{path}"


def httpx_sync(n):
    import httpx

    with httpx.Client(verify=False) as client:
        assert client.post(url(n), content=body).text == str(size)
        assert client.get(url(f"pattern/{size}"), headers={"Connection": "close"}).content == body


async def httpx_async(n):
    import httpx

    async with httpx.AsyncClient(verify=False, timeout=60) as client:
        assert (await client.post(url(n), content=body)).text == str(size)
        assert (await client.get(url(f"pattern/{size}"), headers={"Connection": "close"})).content == body


async def aiohttp_client(n):
    import aiohttp

    async with aiohttp.ClientSession() as client:
        async with client.post(url(n), data=body, ssl=context) as answer:
            assert await answer.text() == str(size)
        async with client.get(url(f"pattern/{size}"), headers={"Connection": "close"}, ssl=context) as answer:
            assert await answer.read() == body


def get(_):
    import http.client

    link = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)
    link.request("GET", "/body")
    assert link.getresponse().read() == body
    link.close()


async def together(one):
    await asyncio.gather(*(one(n) for n in range(count)))


def threads(one):
    all = [threading.Thread(target=one, args=(n,)) for n in range(count)]
    [thread.start() for thread in all]
    [thread.join() for thread in all]


print("ready", os.getpid(), flush=True)
if len(sys.argv) > 5 and sys.argv[5] == "go":
    sys.stdin.readline()
if how in ("sync", "httpx", "get"):
    threads({"sync": sync, "httpx": httpx_sync, "get": get}[how])
elif how in ("async", "httpx-async", "aiohttp"):
    asyncio.run(together({"async": memory, "httpx-async": httpx_async, "aiohttp": aiohttp_client}[how]))
elif how == "uvloop":
    import uvloop

    uvloop.run(together(memory))
elif how == "fork":
    children = []
    for n in range(count):
        child = os.fork()
        if child == 0:
            sync(n)
            os._exit(0)
        children.append(child)
    [os.waitpid(child, 0) for child in children]
# Connections that a loop left when it ended are garbage by now: they are freed before this ends.
gc.collect()
print("done", flush=True)
if len(sys.argv) > 5:
    sys.stdin.readline()
