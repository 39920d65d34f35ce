"""The console's web server: Django on Granian."""

from __future__ import annotations

from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.server import Server

from core.config import Config

CONSOLE = "objstore_site.wsgi:application"
STOP_WITHIN_S = 25
CONSOLE_THREADS = 4


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
        log_access=False,
        log_dictconfig=_logging("console", config.logs.level),
        respawn_failed_workers=True,
        respawn_interval=0.2,
        workers_kill_timeout=STOP_WITHIN_S,
    ).serve()


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
