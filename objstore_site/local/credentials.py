"""`credentials.json`: the first key and the admin's password, readable by the owner alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from core.config import Config


def endpoint(config: Config) -> str:
    """Where a client on this machine reaches the S3 port."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(config.s3.host, config.s3.host)
    return f"http://{host}:{config.s3.port}"


def read(file: Path) -> dict[str, str]:
    """What was written last; empty when there is nothing to rely on."""
    try:
        found = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {str(name): str(value) for name, value in found.items()}


def write(file: Path, values: Mapping[str, str]) -> None:
    """Replace the file as a whole; mode 0600 from its first byte."""
    write_text(file, json.dumps(values, indent=2))


def write_text(file: Path, text: str) -> None:
    """Replace a small secret file durably; mode 0600 from its first byte."""
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text + "\n")
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
