"""What a running store left in its home for those who measure it."""

from __future__ import annotations

import json
from pathlib import Path


def database_url(home: Path) -> str:
    """The PostgreSQL the store of this home runs on."""
    found = json.loads((home / "run" / "servers.json").read_text())
    return str(found["database_url"])


def redis_url(home: Path) -> str:
    """The Redis the store of this home runs on."""
    found = json.loads((home / "run" / "servers.json").read_text())
    return str(found["redis_url"])
