"""The two web servers, both Granian: the gateway's plain ASGI and the console's Django."""

from __future__ import annotations

from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.server import Server

from core.config import Config

GATEWAY = "objstore_site.s3_asgi:app"
CONSOLE = "objstore_site.wsgi:application"
# A gateway that is told to stop finishes its requests and hands its segments over within this.
STOP_WITHIN_S = 25
CONSOLE_THREADS = 4
# How much of a body Granian reads ahead of us, per connection.
READ_AHEAD = 1 << 18


def serve_gateway(config: Config) -> None:
    """Serve S3 until told to stop."""
    Server(
        GATEWAY,
        address=config.s3.host,
        port=config.s3.port,
        interface=Interfaces.ASGI,
        workers=config.s3.workers,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=30_000, keep_alive=True, max_buffer_size=READ_AHEAD
        ),
        websockets=False,
        backlog=max(128, config.s3.backlog),
        backpressure=max(64, config.s3.inflight),
        **_common(config, "gateway"),
    ).serve()


def serve_console(config: Config) -> None:
    """Serve the console until told to stop."""
    Server(
        CONSOLE,
        address=config.console.host,
        port=config.console.port,
        interface=Interfaces.WSGI,
        workers=config.console.workers,
        blocking_threads=CONSOLE_THREADS,
        http=HTTPModes.http1,
        websockets=False,
        **_common(config, "console"),
    ).serve()


def _common(config: Config, process: str) -> dict[str, Any]:
    return {
        "log_access": False,
        "log_dictconfig": _logging(process, config.logs.level),
        "respawn_failed_workers": True,
        "respawn_interval": 0.2,
        "workers_kill_timeout": STOP_WITHIN_S,
    }


def _logging(process: str, level: str) -> dict[str, Any]:
    """JSON lines on standard error, for Granian's own words too."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "core.logs.JsonFormatter", "process": process}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "json",
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"handlers": ["stderr"], "level": level.upper()},
        "loggers": {"_granian": {"handlers": ["stderr"], "level": "INFO", "propagate": False}},
    }
