"""Management commands, run in this process."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

from django.core.management import call_command


def run(*arguments: str) -> str:
    """What a command writes."""
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def run_json(*arguments: str) -> Any:
    """The document a command writes."""
    return json.loads(run(*arguments, "--json"))
