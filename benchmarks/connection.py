"""`python -m benchmarks.connection`: what a request costs before anybody looks at it.

An ASGI application that answers 4 KiB, or takes 4 KiB, and does nothing else, behind one process of
each server in turn: the gateway's own connections, Granian, uvicorn where it is installed. Shown is
CPU of the server's process and threads per request, at 32 connections; medians of `--runs`.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import socket
import statistics
import subprocess
import sys
import time
from typing import Any

import psutil

from benchmarks.s3 import table_row

BODY = bytes(4096)
HEAD = b"HTTP/1.1\r\nhost: store\r\nauthorization: " + bytes([97]) * 180
ASKED = {
    "GET": b"GET /bucket/key " + HEAD + b"\r\n\r\n",
    "PUT": b"PUT /bucket/key " + HEAD + b"\r\ncontent-length: 4096\r\n\r\n" + BODY,
}
APPLICATION = "benchmarks.connection:application"
COMMANDS = {
    "ours": ["-m", "benchmarks.connection", "--serve"],
    "granian": ["-m", "granian", APPLICATION, "--interface", "asgi", "--loop", "uvloop",
                "--no-ws", "--port"],
    "uvicorn": ["-m", "uvicorn", APPLICATION, "--no-access-log", "--loop", "uvloop",
                "--http", "httptools", "--lifespan", "off", "--port"],
}  # fmt: skip


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Take the body, answer with one."""
    if scope["type"] != "http":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return
    while (await receive()).get("more_body"):
        continue
    body = BODY if scope["method"] == "GET" else b""
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def serve(port: int) -> None:
    """On the gateway's connections."""
    connection = importlib.import_module("s3.connection")
    made = connection.Connections(application, keep_alive_s=60, head_s=30, stall_s=60)
    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", port)
    await server.serve_forever()


async def ask(port: int, request: bytes, length: int, until: float) -> int:
    """One connection's requests; how many were answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    done = 0
    while time.monotonic() < until:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await reader.readexactly(length)
        done += 1
    writer.close()
    return done


def cpu_s(pid: int) -> float:
    """User and system time of a process and its children."""
    root = psutil.Process(pid)
    times = [one.cpu_times() for one in [root, *root.children(recursive=True)]]
    return sum(one.user + one.system for one in times)


async def load(port: int, request: bytes, length: int, seconds: float, many: int) -> int:
    until = time.monotonic() + seconds
    return sum(await asyncio.gather(*(ask(port, request, length, until) for _ in range(many))))


def measured(name: str, options: argparse.Namespace) -> list[str]:
    """A row of the table."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, *COMMANDS[name], str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    row = [name]
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        for method, request in ASKED.items():
            costs = []
            for _ in range(options.runs):
                before = cpu_s(server.pid)
                length = len(BODY) if method == "GET" else 0
                done = asyncio.run(load(port, request, length, options.seconds, options.conc))
                costs.append((cpu_s(server.pid) - before) * 1e6 / done)
            row.append(f"{statistics.median(costs):.0f}")
    finally:
        server.terminate()
        server.wait(30)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--conc", type=int, default=32)
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        importlib.import_module("uvloop").run(serve(options.serve))
        return
    print(table_row(["server", "GET 4 KiB us", "PUT 4 KiB us"]))
    print(table_row(["---"] * 3), flush=True)
    for name in COMMANDS:
        if name == "ours" or importlib.util.find_spec(name) is not None:
            print(table_row(measured(name, options)), flush=True)


if __name__ == "__main__":
    main()
