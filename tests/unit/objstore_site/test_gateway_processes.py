"""The gateway's processes: replaced when they die, stopped without breaking an answer."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import ConfigurationError
from objstore_site import gateway

# What a worker serves here: its own process id; `/slow` after it has said so on standard output.
_PROGRAM = """
import asyncio, os, sys
from types import SimpleNamespace
from objstore_site import gateway

class Application:
    async def open(self, settings):
        if "cannot" in sys.argv:
            raise RuntimeError("nothing to open")
    async def close(self):
        print("closed", flush=True)
    async def __call__(self, scope, receive, send):
        if scope["raw_path"] == b"/slow":
            print("slow", flush=True)
            await asyncio.sleep(1)
        body = str(os.getpid()).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

s3 = SimpleNamespace(host="127.0.0.1", port=0, workers=2, backlog=16, keep_alive_s=60.0,
                     idle_timeout_s=60.0)
config = SimpleNamespace(s3=s3)
listener = gateway._listen(config)
print(listener.getsockname()[1], flush=True)
gateway._Parent(config, listener, Application()).run()
"""


class Running:
    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.port = int(self.line())

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def ask(self, path: str = "/") -> int:
        """The process that answers."""
        return self.begin(path)()

    def begin(self, path: str) -> Any:
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        asked.request("GET", path)

        def answer() -> int:
            with asked.getresponse() as response:
                assert response.status == 200
                return int(response.read())

        return answer


@pytest.fixture
def running() -> Iterator[Running]:
    made = Running()
    yield made
    made.process.terminate()
    made.process.wait(60)


def test_a_worker_that_dies_is_replaced(running: Running) -> None:
    killed = set()
    for _ in range(3):
        pid = running.ask()
        assert pid not in killed
        assert pid != running.process.pid
        os.kill(pid, signal.SIGKILL)
        killed.add(pid)
    assert running.ask() not in killed


def test_a_request_under_way_is_answered_before_the_gateway_stops(running: Running) -> None:
    answer = running.begin("/slow")
    assert running.line() == "slow\n"
    running.process.terminate()
    assert answer()
    assert running.process.wait(60) == 0
    assert running.line() == "closed\n"


def test_workers_end_when_their_parent_is_killed(running: Running) -> None:
    running.ask()
    running.process.kill()
    # The workers hold the other end of this pipe: it ends when the last of them has.
    assert running.process.stdout is not None
    assert "slow" not in running.process.stdout.read()


def test_workers_that_cannot_start_end_the_gateway() -> None:
    assert Running("cannot").process.wait(60) == 1


def test_a_taken_port_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config: Any = SimpleNamespace(s3=SimpleNamespace(host="127.0.0.1", port=port, backlog=16))
        with pytest.raises(ConfigurationError, match=f"port {port}: Address already in use"):
            gateway._listen(config)
