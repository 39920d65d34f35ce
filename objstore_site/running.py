"""Where the store of this home listens: written by the local runner, read by every command.

Here: the file `run/servers.json` of a home, with the addresses of an embedded PostgreSQL and Redis.
Not here: starting them (`objstore_site.local`).

Promise: an address given by the environment always wins.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from core import config as configuration
from core.errors import ConfigurationError
from core.files import replace_durably


@dataclass(frozen=True, kw_only=True)
class Servers:
    """Addresses of the two servers a store needs."""

    database_url: str
    redis_url: str


def servers_file(home: Path) -> Path:
    """Where a home keeps the addresses of its servers."""
    return home / "run" / "servers.json"


def write_servers(home: Path, servers: Servers) -> None:
    """Leave the addresses for commands; replaced as a whole, readable by the owner alone."""
    replace_durably(servers_file(home), json.dumps(asdict(servers)) + "\n")


def forget_servers(home: Path) -> None:
    """The servers were stopped: nobody is to look for them any more."""
    servers_file(home).unlink(missing_ok=True)


def read_servers(home: Path) -> Servers | None:
    """What the last run of this home left, or None."""
    try:
        found = json.loads(servers_file(home).read_text())
    except FileNotFoundError:
        return None
    except PermissionError as why:
        raise ConfigurationError(f"{home} cannot be read: {why.strerror}") from why
    return Servers(database_url=found["database_url"], redis_url=found["redis_url"])


def reach_running_store() -> None:
    """Complete this process's configuration with the servers of its home, where none were given."""
    current = configuration.config()
    if current.database.url and current.redis.url:
        return
    left = read_servers(current.home)
    if left is None:
        return
    configuration.install(
        replace(
            current,
            database=replace(current.database, url=current.database.url or left.database_url),
            redis=replace(current.redis, url=current.redis.url or left.redis_url),
        )
    )
