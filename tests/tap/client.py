"""Makes TLS connections for the tests of `--tls`.

client.py PORT HOW COUNT SIZE [WAIT]    COUNT connections at once, each sends SIZE bytes that tell their place, and gets as many

HOW: sync (a socket BIO), async (memory BIOs), fork (each connection in a child of this process)
"""
import asyncio
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
    writer.write(get)
    await writer.drain()
    assert (await reader.read()).split(b"\r\n\r\n", 1)[1] == body
    writer.close()


async def together():
    await asyncio.gather(*(memory(n) for n in range(count)))


print("ready", os.getpid(), flush=True)
if len(sys.argv) > 5 and sys.argv[5] == "go":
    sys.stdin.readline()
if how == "sync":
    threads = [threading.Thread(target=sync, args=(n,)) for n in range(count)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
elif how == "async":
    asyncio.run(together())
elif how == "fork":
    children = []
    for n in range(count):
        child = os.fork()
        if child == 0:
            sync(n)
            os._exit(0)
        children.append(child)
    [os.waitpid(child, 0) for child in children]
print("done", flush=True)
if len(sys.argv) > 5:
    sys.stdin.readline()
