"""The gateway's processes: one that listens and watches, and as many that serve.

Here: the listening socket, the workers and their replacement, stopping without breaking requests.
Not here: HTTP on a connection (s3.connection), S3 (s3.gateway).

Every worker accepts from the one socket its parent opened, so connections go to whoever is free,
and none is lost while a dead worker is being replaced: at once, but ever later when its successors
die young. A worker whose parent dies stops as well.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import signal
import socket
import sys
import time
from types import FrameType
from typing import Any, NoReturn

import uvloop

from core.config import Config
from core.errors import ConfigurationError
from objstore_site.local import privileges
from s3.connections import Connections

log = logging.getLogger("objstore.gateway")

# A gateway that is told to stop finishes its requests and hands its segments over within this.
STOP_WITHIN_S = 25
# A worker that died is replaced at once; one that had replaced it and died young after this, twice
# this, and so on up to the longest. Clients wait meanwhile: shorter than for a whole process.
AGAIN_AFTER_S = 0.2
LONGEST_AGAIN_AFTER_S = 10.0
# Having lived this long, a worker did not die young.
SETTLED_AFTER_S = 5.0
# While somebody is to be replaced later, deaths of others are looked for this often.
_LOOK_EVERY_S = 0.1
# A thread back from the disk waits at most this long for the loop to hand it the interpreter; with
# Python's own 5 ms a durable write was often there long before anybody heard of it.
_TURN_S = 0.0005
# The exit code of a worker that could not start: another one could not either.
_CANNOT_START = 3
# How long the head of a request may take to come.
_HEAD_S = 30.0


def serve(config: Config) -> None:
    """Serve S3 until told to stop."""
    listener = _listen(config)
    # By name: models cannot be imported before Django's registry is filled. Before the workers
    # are forked: they share its memory, and one that is replaced is ready at once.
    application = importlib.import_module("objstore_site.s3_asgi").app
    gc.collect()
    gc.freeze()
    _Parent(config, listener, application).run()


class _Worker:
    """One worker, and whoever comes after it when it dies. `pid` is 0 while there is none."""

    def __init__(self) -> None:
        self.pid = 0
        self.start_at = 0.0
        self._started_at = 0.0
        self._wait = 0.0

    def started(self, pid: int, now: float) -> None:
        """A worker has been started."""
        self.pid = pid
        self._started_at = now

    def ended(self, now: float) -> float:
        """The worker died: in how many seconds the next is to be started."""
        self.pid = 0
        wait = 0.0 if now - self._started_at >= SETTLED_AFTER_S else self._wait
        self._wait = min(max(AGAIN_AFTER_S, 2 * wait), LONGEST_AGAIN_AFTER_S)
        self.start_at = now + wait
        return wait


class _Parent:
    """Starts workers and replaces those that die."""

    def __init__(self, config: Config, listener: socket.socket, application: Any) -> None:
        self._config = config
        self._listener = listener
        self._application = application
        self._workers = [_Worker() for _ in range(config.s3.workers)]
        self._is_stopping = False
        self._status = 0

    def run(self) -> None:
        """Until every worker has ended; their failure to start is ours."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGALRM, self._insist)
        while not self._is_stopping or any(worker.pid for worker in self._workers):
            for worker in self._workers:
                if not worker.pid and worker.start_at <= time.monotonic():
                    self._start(worker)
            pid, status = self._wait()
            for worker in self._workers:
                if pid and worker.pid == pid:
                    self._ended(worker, os.waitstatus_to_exitcode(status))
        sys.exit(self._status)

    def _wait(self) -> tuple[int, int]:
        """The next worker that ended and its status; (0, 0) when one may be due to be started."""
        alive = [worker for worker in self._workers if worker.pid]
        if alive and (self._is_stopping or len(alive) == len(self._workers)):
            return os.wait()
        ended = os.waitpid(-1, os.WNOHANG) if alive else (0, 0)
        if not ended[0]:
            time.sleep(_LOOK_EVERY_S)
        return ended

    def _ended(self, worker: _Worker, code: int) -> None:
        pid = worker.pid
        wait = worker.ended(time.monotonic())
        if self._is_stopping:
            return
        if code == _CANNOT_START:
            self._status = 1
            self._stop()
            return
        told = {"worker": pid, "code": code, "again_after_s": wait}
        log.warning("a gateway worker ended", extra=told)

    def _start(self, worker: _Worker) -> None:
        parent = os.getpid()
        # A signal that came between would find a parent's handler in the child.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        pid = 0 if self._is_stopping else os.fork()
        if pid == 0 and not self._is_stopping:
            _work(self._config, self._listener, self._application, parent)
        if pid:
            worker.started(pid, time.monotonic())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})

    def _stop(self, *_: int | FrameType | None) -> None:
        self._is_stopping = True
        self._tell(signal.SIGTERM)
        # Workers need a moment more than they give their requests.
        signal.alarm(STOP_WITHIN_S + 3)

    def _insist(self, *_: int | FrameType | None) -> None:
        self._tell(signal.SIGKILL)

    def _tell(self, number: signal.Signals) -> None:
        for worker in self._workers:
            try:
                if worker.pid:
                    os.kill(worker.pid, number)
            except ProcessLookupError:
                continue


def _listen(config: Config) -> socket.socket:
    host, port = config.s3.host, config.s3.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=config.s3.backlog)
    except OSError as why:
        raise ConfigurationError(
            f"The gateway cannot listen on {host} port {port}: {why.strerror}."
        ) from why


def _work(config: Config, listener: socket.socket, application: Any, parent: int) -> NoReturn:
    """The life of a worker process; never returns to its parent's code."""
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        privileges.dying_with_parent(signal.SIGTERM)()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
        sys.setswitchinterval(_TURN_S)
        if os.getppid() == parent:
            code = uvloop.run(_serve(config, listener, application))
    except BaseException:
        log.exception("a gateway worker failed")
    finally:
        logging.shutdown()
        os._exit(code)


async def _serve(config: Config, listener: socket.socket, application: Any) -> int:
    """Open the store, serve its port, close it again; the exit code."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    try:
        await application.open(config)
    except Exception:
        log.exception("the gateway cannot start")
        return _CANNOT_START
    connections = Connections(
        application,
        keep_alive_s=config.s3.keep_alive_s,
        head_s=min(_HEAD_S, config.s3.keep_alive_s),
        stall_s=config.s3.idle_timeout_s,
        refusing=application.refuse,
    )
    server = await loop.create_server(connections, sock=listener, backlog=config.s3.backlog)
    watching = asyncio.create_task(connections.watch())
    await told.wait()
    server.close()
    watching.cancel()
    try:
        await asyncio.wait_for(connections.stop(), STOP_WITHIN_S)
    except TimeoutError:
        log.warning("requests were cut off", extra={"connections": len(connections.open)})
    await application.close()
    return 0
