"""What must hold of a PostgreSQL before a process uses it.

Here: a PostgreSQL that would lose acknowledged writes is refused; connections are summed against
what the server allows. Not here: checks of a running store (`/ready`), of the code (checks.py).
"""

from __future__ import annotations

import psycopg

from core.config import Config
from core.errors import ConfigurationError

# Without any of these an acknowledged commit may be gone after a power cut.
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
# Commits and rewrites rely on each statement seeing what was committed before it began.
ISOLATION = "read committed"
_KNOWN = (
    "default_transaction_isolation",
    "max_connections",
    "server_encoding",
    "server_version_num",
)
# Look-ups of configuration by the ORM, per gateway worker.
ORM_CONNECTIONS = 2
# A Celery child: its ORM connection, its lanes, its lease renewal.
WORKER_CONNECTIONS = 6
# Processes of the worker that only writes the journal: two, so that a snapshot is in nobody's way.
JOURNAL_WORKERS = 2
# Celery's parent (watchdog), dispatcher with its health loop, beat, an operator's commands.
OTHER_CONNECTIONS = 12
CONSOLE_CONNECTIONS = 4


def connections_needed(config: Config) -> int:
    """How many connections the processes of this configuration open at most."""
    database = config.database
    per_gateway = (
        database.lookup_connections
        + database.commit_connections
        + database.waiting_connections
        + database.misc_connections
        + ORM_CONNECTIONS
    )
    return (
        config.s3.workers * per_gateway
        + config.console.workers * CONSOLE_CONNECTIONS
        + (config.jobs.workers + JOURNAL_WORKERS) * WORKER_CONNECTIONS
        + OTHER_CONNECTIONS
    )


def refuse_unsafe_database(config: Config) -> None:
    """Raise `ConfigurationError` in one sentence when this PostgreSQL cannot keep the promise."""
    if not config.database.url:
        raise ConfigurationError(
            f"there is no DATABASE_URL, and no store runs in {config.home} (`make run` starts one)"
        )
    try:
        found = _server_settings(config)
    except psycopg.OperationalError as why:
        raise ConfigurationError(
            f"the database does not answer: {str(why).strip().splitlines()[0]}"
        ) from why
    problems = _problems(found, connections_needed(config))
    if problems:
        raise ConfigurationError("this PostgreSQL cannot be used: " + "; ".join(problems))


def _server_settings(config: Config) -> dict[str, str]:
    names = [*DURABLE, *_KNOWN]
    timeout_s = max(2, int(config.database.connect_timeout_s))
    with psycopg.connect(config.database.url, connect_timeout=timeout_s) as connection:
        rows = connection.execute(
            "select name, setting from pg_settings where name = any(%s)", [names]
        ).fetchall()
    return dict(rows)


def _problems(found: dict[str, str], needed: int) -> list[str]:
    problems = [
        f"{name} is off, so acknowledged writes could be lost"
        for name in DURABLE
        if found.get(name) == "off"
    ]
    if found["default_transaction_isolation"] != ISOLATION:
        problems.append(
            f"default_transaction_isolation is {found['default_transaction_isolation']}, and what"
            f" is correct only under {ISOLATION} could lose acknowledged writes"
        )
    if int(found["server_version_num"]) < 140000:
        problems.append("it is older than version 14")
    if found["server_encoding"] != "UTF8":
        problems.append(f"its encoding is {found['server_encoding']}, not UTF8")
    if int(found["max_connections"]) < needed:
        problems.append(
            f"the store opens up to {needed} connections and max_connections is"
            f" {found['max_connections']}: raise it, or lower OBJSTORE_S3_WORKERS"
        )
    return problems
