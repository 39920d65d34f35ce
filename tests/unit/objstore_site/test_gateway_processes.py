"""The gateway's processes: replaced when they die, stopped without breaking an answer."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import ConfigurationError
from objstore_site import gateway
from tests.support.nodes import wait_until

# What a worker serves here: its own process id; `/slow` after it has said so on standard output.
_PROGRAM = r"""
import asyncio, os, sys
from types import SimpleNamespace
from objstore_site import gateway

class Application:
    async def open(self, settings):
        if "cannot" in sys.argv:
            raise RuntimeError("nothing to open")
        if "patient" in sys.argv:
            os.write(1, b"open %d\n" % os.getpid())  # whole, whoever else writes
    async def close(self):
        print("closed", flush=True)
    async def refuse(self, scope, receive, send):
        raise AssertionError("only requests are sent here")
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
if "patient" in sys.argv:
    # Whoever dies after the first died young, and is replaced in an hour.
    gateway.AGAIN_AFTER_S = gateway.LONGEST_AGAIN_AFTER_S = gateway.SETTLED_AFTER_S = 3600.0
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

    def opened(self) -> int:
        """The next worker that says it is open, as patient ones do."""
        return int(self.line().removeprefix("open"))

    def workers(self) -> list[int]:
        """All there are."""
        pid = self.process.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

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


def end(pid: int) -> None:
    """Kill a worker, and wait until its parent knows."""
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_there(pid))


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


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


def test_workers_whose_successors_die_young_are_replaced_later_and_the_others_at_once() -> None:
    running = Running("patient")
    try:
        one, other = running.opened(), running.opened()
        end(one)
        successor = running.opened()
        end(successor)
        end(other)
        replacement = running.opened()

        # Since the successor died, its parent has seen to both places, or nobody were here.
        assert running.workers() == [replacement]
    finally:
        running.process.terminate()
    assert running.process.wait(60) == 0


def test_one_death_is_no_wait_and_every_further_young_one_a_longer_wait() -> None:
    worker = gateway._Worker()
    now, waits = 0.0, []
    for number in range(12):
        worker.started(100 + number, now)
        now += 1.0
        waits.append(worker.ended(now))
        assert (worker.pid, worker.start_at) == (0, now + waits[-1])
        now += waits[-1]

    assert waits == [0.0, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, *[10.0] * 5]

    worker.started(200, now)
    now += gateway.SETTLED_AFTER_S
    assert worker.ended(now) == 0.0
    worker.started(201, now)
    assert worker.ended(now + 1.0) == 0.2


def test_each_death_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    config: Any = SimpleNamespace(s3=SimpleNamespace(workers=1))
    parent = gateway._Parent(config, None, None)  # type: ignore[arg-type]
    (worker,) = parent._workers
    worker.started(4711, gateway.time.monotonic())

    parent._ended(worker, -9)

    (line,) = caplog.records
    assert line.getMessage() == "a gateway worker ended"
    assert (line.worker, line.code, line.again_after_s) == (4711, -9, 0.0)  # type: ignore[attr-defined]


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
