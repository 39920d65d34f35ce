"""Addresses as those who connect want to read them: Django, Celery, the drivers, a person."""

from __future__ import annotations

from typing import Any

from psycopg import ProgrammingError, conninfo

from core.config import Database, Redis
from core.errors import ConfigurationError

_NO_SERVER = "postgresql:///objstore?host=/nonexistent"
_DJANGO_NAMES = {
    "dbname": "NAME",
    "user": "USER",
    "password": "PASSWORD",
    "host": "HOST",
    "port": "PORT",
}


def django_database(database: Database) -> dict[str, Any]:
    """Django's `DATABASES` entry; without a URL, one that no server answers."""
    try:
        parts = conninfo.conninfo_to_dict(database.url or _NO_SERVER)
    except ProgrammingError as why:
        raise ConfigurationError(f"DATABASE_URL cannot be read: {why}") from why
    entry: dict[str, Any] = {
        name: str(parts.pop(ours)) for ours, name in _DJANGO_NAMES.items() if ours in parts
    }
    return {
        "ENGINE": "django.db.backends.postgresql",
        **entry,
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": int(database.connect_timeout_s) or 1, **parts},
    }


def reachable(host: str) -> str:
    """An address to connect to, for one to listen on."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)


def celery_broker(redis: Redis) -> str:
    """Celery's name for the same Redis (it spells Unix sockets differently)."""
    if redis.url.startswith("unix://"):
        path, _, query = redis.url.removeprefix("unix://").partition("?")
        database = query.removeprefix("db=") or "0"
        return f"redis+socket://{path}?virtual_host={database}"
    return redis.url or "redis://127.0.0.1:1/0"
