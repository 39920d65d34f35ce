"""JSON logs: one line per event, {time, level, msg, ...}.

Here: the format and the set-up. Not here: the access log's lines (s3.access_log), which skip this
machinery. Extra fields come as `log.warning("shard lost", extra={"segment": id})`.
"""

from __future__ import annotations

import logging
import sys
from typing import IO, Any

import orjson

from core import clock

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
            "logger": record.name,
            "process": self._process,
            "pid": record.process,
        }
        for name, value in record.__dict__.items():
            if name not in _STANDARD:
                line[name] = value
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def set_up(process: str, level: str = "info", to: IO[str] | None = None) -> None:
    """Send all logs of this process to `to` (standard error) as JSON lines."""
    handler = logging.StreamHandler(to or sys.stderr)
    handler.setFormatter(JsonFormatter(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
