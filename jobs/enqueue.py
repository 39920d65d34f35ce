"""Owing work: the row commits, or vanishes, with the state that owes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection

from jobs.catalogue import Family


def enqueue(
    family: Family,
    subject: object = "",
    *,
    priority: int = 0,
    run_at: datetime | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Owe `family`'s work on `subject` in the caller's transaction.

    Owing what is owed already joins that row; owing what runs just now makes it run once more.
    `run_at` lies at most `LONGEST_WAIT_S` ahead: what lies further is taken for a clock's mistake.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT owe(%s, %s, %s, %s, %s)",
            [family.name, str(subject), priority, run_at, json.dumps(dict(detail or {}))],
        )
