"""`credentials.json`: the first key and the admin's password, readable by the owner alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from core.config import Config
from core.files import replace_durably
from objstore_site.addresses import reachable


def endpoint(config: Config) -> str:
    """Where a client on this machine reaches the S3 port."""
    return f"http://{reachable(config.s3.host)}:{config.s3.port}"


def read(file: Path) -> dict[str, str]:
    """What was written last; empty when there is nothing to rely on."""
    try:
        found = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {str(name): str(value) for name, value in found.items()}


def write(file: Path, values: Mapping[str, str]) -> None:
    """Replace the file as a whole."""
    replace_durably(file, json.dumps(values, indent=2) + "\n")
