"""The metrics port: `/metrics` summed over all processes of this home, `/health`, `/ready`.

Here: a small threaded server. Not here: what is counted (core.metrics). `/ready` is the gateway's
own answer, asked for each time.
"""

from __future__ import annotations

import logging
import signal
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType

from core import logs, metrics
from core.config import config
from objstore_site.addresses import reachable

log = logging.getLogger(__name__)
READY_WITHIN_S = 5


class Handler(BaseHTTPRequestHandler):
    """Three answers; everything else is 404."""

    server_version = "objstore"
    sys_version = ""
    timeout = 10

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            text = metrics.exposition(config().home / "run" / "metrics")
            self._answer(200, text, "text/plain; version=0.0.4; charset=utf-8")
        elif path == "/health":
            self._answer(200, "OK\n")
        elif path == "/ready":
            self._answer(*ask_gateway())
        else:
            self._answer(404, "Not here.\n")

    do_HEAD = do_GET

    def _answer(self, status: int, text: str, kind: str = "text/plain; charset=utf-8") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        log.debug(format, *args)


def ask_gateway() -> tuple[int, str]:
    """The gateway's `/ready`."""
    url = f"http://{reachable(config().s3.host)}:{config().s3.port}/ready"
    try:
        with urllib.request.urlopen(url, timeout=READY_WITHIN_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode(errors="replace")
    except OSError as why:
        return 503, f"The gateway does not answer: {why}\n"


def main() -> None:
    """Serve until SIGTERM."""
    logs.set_up("metrics", config().logs.level)
    settings = config().metrics
    server = ThreadingHTTPServer((settings.host, settings.port), Handler)
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, _end)
    server.serve_forever(poll_interval=5)


def _end(signum: int, frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
