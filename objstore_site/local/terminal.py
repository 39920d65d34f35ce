"""What the person who typed `make run` sees."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic

from core.config import Config
from objstore_site.addresses import reachable


class Terminal:
    """Short lines with the seconds since the start; nothing else is ever printed."""

    def __init__(self) -> None:
        self._began = monotonic()

    def step(self, what: str, how: str) -> None:
        """One thing that came to pass."""
        self._line(f"  {self._seconds():>6}  {what:<14} {how}")

    def say(self, text: str) -> None:
        """A line of its own."""
        self._line(text)

    def complain(self, text: str) -> None:
        """Why it does not go on."""
        print(f"objstore: {text}", file=sys.stderr, flush=True)

    def summary(self, config: Config, credentials: Mapping[str, str], *, servers: str) -> None:
        """Where everything is, the key, and what to try."""
        endpoint = credentials["endpoint"]
        nodes = config.nodes
        first, last = nodes.port, nodes.port + config.cluster.nodes - 1
        self._line(
            f"""
objstore is ready after {self._seconds()}.

  S3         {endpoint}
  console    http://{reachable(config.console.host)}:{
                config.console.port
            }/admin/    user admin, password {credentials["admin_password"]}
  metrics    http://{reachable(config.metrics.host)}:{config.metrics.port}/metrics
  nodes      {config.cluster.nodes} zones with {config.cluster.drives} drives each, ports {first}-{
                last
            }
  servers    {servers}
  home       {config.home}    logs in {_short(config.home / "logs")}, key in credentials.json

  access key {credentials["access_key"]}
  secret key {credentials["secret_key"]}

The drives are directories on one disk: the store survives the loss of drives, not of that disk.

Try, in another terminal:

  export AWS_ACCESS_KEY_ID={credentials["access_key"]} AWS_SECRET_ACCESS_KEY={
                credentials["secret_key"]
            } AWS_DEFAULT_REGION={config.s3.region}
  .venv/bin/aws --endpoint-url {endpoint} s3 mb s3://photos
  .venv/bin/aws --endpoint-url {endpoint} s3 cp README.md s3://photos/
  .venv/bin/aws --endpoint-url {endpoint} s3 ls s3://photos
  .venv/bin/python manage.py cluster status

Ctrl-C stops everything; `make run` carries on with the same data.
"""
        )

    def _line(self, text: str) -> None:
        # A terminal that was closed keeps nobody from stopping what was started.
        with suppress(OSError):
            print(text, flush=True)

    def _seconds(self) -> str:
        return f"{monotonic() - self._began:.1f} s"


def _short(path: Path) -> str:
    """Relative to where we stand, when that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
