"""The access log: one JSON line per request, gathered and written in one go.

Here: the lines, and the thread that writes them, so that whoever reads them slowly stops nobody
else. Not here: the logging of events (core.logs).

Promise: lines leave in the order of their requests' ends. A line is never flushed for one request
alone; up to a quarter of a second of them is lost with the process. While `WAITING_BYTES` of them
wait for their reader, further ones are dropped; how many, a line of its own says when it can.
"""

from __future__ import annotations

import asyncio
import os
import threading
from datetime import UTC, datetime
from functools import lru_cache
from queue import SimpleQueue

import orjson

from core import clock
from core.errors import StoreError
from s3.wire import Call

_WRITE_EVERY_S = 0.25
_WRITE_FROM = 512
# What may wait for a slow reader: ten thousand lines or so.
WAITING_BYTES = 4 << 20
# How long the end of a process waits for its reader: less than a gateway has to stop in.
_END_WITHIN_S = 5.0


class AccessLog:
    """Lines of one process, on their way to a file descriptor."""

    def __init__(self, fd: int = 2) -> None:
        self._writer = _Writer(fd)
        self._dropped = 0
        self._lines: list[tuple[float, Call, int, float, str]] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: Call, status: int, duration_s: float, error: StoreError | None) -> None:
        """Note a finished request. Its line is made when many are written."""
        code = error.code if error is not None else ""
        self._lines.append((clock.timestamp(), call, status, duration_s, code))
        if len(self._lines) >= _WRITE_FROM:
            self._hand_over()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_WRITE_EVERY_S, self._hand_over)

    def write(self) -> None:
        """Write what has gathered; return when it is written, or its reader has had its time."""
        self._hand_over()
        self._writer.flush(_END_WITHIN_S)

    def _hand_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines = self._lines, []
        if self._writer.waiting >= WAITING_BYTES:
            self._dropped += len(lines)
            return
        text = [_line(*one) for one in lines]
        dropped = self._dropped + self._writer.take_lost()
        if dropped:
            text.insert(0, _gap(dropped))
            self._dropped = 0
        if text:
            self._writer.put(b"".join(text))


class _Writer:
    """A thread that writes to a file descriptor, in order. All else is called by one other."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._texts: SimpleQueue[bytes | threading.Event] = SimpleQueue()
        self._thread: threading.Thread | None = None
        # Each of these is counted up by one side alone, and only compared by the other.
        self._given = self._done = 0
        self._lost = self._told = 0

    @property
    def waiting(self) -> int:
        """Bytes not written yet."""
        return self._given - self._done

    def take_lost(self) -> int:
        """How many lines could not be written since this was asked last."""
        lost = self._lost
        told, self._told = self._told, lost
        return lost - told

    def put(self, text: bytes) -> None:
        """Have whole lines written when their turn comes."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name="access-log", daemon=True)
            self._thread.start()
        self._given += len(text)
        self._texts.put(text)

    def flush(self, within_s: float) -> None:
        """Wait until what was given is written."""
        if self._thread is not None:
            is_written = threading.Event()
            self._texts.put(is_written)
            is_written.wait(within_s)

    def _write(self) -> None:
        while True:
            text = self._texts.get()
            if isinstance(text, threading.Event):
                text.set()
                continue
            try:
                _write_all(self._fd, text)
            except OSError:
                self._lost += text.count(b"\n")
            self._done += len(text)


def _line(moment: float, call: Call, status: int, duration_s: float, code: str) -> bytes:
    # The query may hold a signature, which is good for a replay: only its names are logged.
    line: dict[str, object] = {
        "time": _time(moment),
        "level": "info",
        "msg": "request",
        "method": call.method,
        "path": call.raw_path.decode(errors="backslashreplace"),
        "query": list(call.query),
        "operation": call.operation.name,
        "status": status,
        "duration_ms": round(duration_s * 1000, 3),
        "bytes_in": call.bytes_in,
        "bytes": call.bytes_out,
        "request_id": call.request_id,
        "access_key": call.caller.key_id if call.caller is not None else "",
        "peer": call.peer,
        "agent": call.headers.get("user-agent", ""),
    }
    if code:
        line["error"] = code
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _gap(lines: int) -> bytes:
    """The line that stands for lines which are not there."""
    line = {
        "time": _time(clock.timestamp()),
        "level": "warning",
        "msg": "requests are missing here: the log was not read, or not written, fast enough",
        "lines": lines,
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _time(moment: float) -> str:
    second = int(moment)
    return f"{_second(second)}.{int((moment - second) * 1000):03}Z"


@lru_cache(maxsize=8)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _write_all(fd: int, text: bytes) -> None:
    left = memoryview(text)
    while left:
        left = left[os.write(fd, left) :]
