"""The access log: one JSON line per request, gathered and written in one go.

Not here: the logging of events (core.logs). A line is never flushed for one request alone; up to a
quarter of a second of them is lost with the process.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime

import orjson

from core import clock
from core.errors import StoreError
from s3.wire import Call

_WRITE_EVERY_S = 0.25
_WRITE_FROM = 512


class AccessLog:
    """Lines of one process, on their way to a file descriptor."""

    def __init__(self, fd: int = 2) -> None:
        self._fd = fd
        self._lines: list[tuple[float, Call, int, float, str]] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: Call, status: int, duration_s: float, error: StoreError | None) -> None:
        """Note a finished request. Its line is made when many are written."""
        code = error.code if error is not None else ""
        self._lines.append((clock.timestamp(), call, status, duration_s, code))
        if len(self._lines) >= _WRITE_FROM:
            self.write()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_WRITE_EVERY_S, self.write)

    def write(self) -> None:
        """Write what has gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines = self._lines, []
        if lines:
            _write_all(self._fd, b"".join([_line(*one) for one in lines]))


def _line(moment: float, call: Call, status: int, duration_s: float, code: str) -> bytes:
    # The query may hold a signature, which is good for a replay: only its names are logged.
    at = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    line: dict[str, object] = {
        "time": at.replace("+00:00", "Z"),
        "level": "info",
        "msg": "request",
        "method": call.method,
        "path": call.raw_path.decode("latin-1"),
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


def _write_all(fd: int, text: bytes) -> None:
    left = memoryview(text)
    while left:
        left = left[os.write(fd, left) :]
