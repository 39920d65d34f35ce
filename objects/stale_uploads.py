"""Multipart uploads that were left behind, and those completed long ago; synchronous.

Here: which they are, aborting and forgetting them. Not here: what clients ask of uploads
(multipart, uploads), when it is time (workers).

Promise: whether an upload rests is decided in `sql/uploads.sql` under its lock; false means that
something came meanwhile, and nothing was changed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection


def stale_uploads(cutoff: datetime, after: UUID, limit: int) -> list[UUID]:
    """Open uploads begun before `cutoff`; whether they rest since then is decided one by one."""
    return [
        row[0]
        for row in _ask(
            "SELECT id FROM upload WHERE state = 'open' AND initiated < %s AND id > %s"
            " ORDER BY id LIMIT %s",
            cutoff,
            after,
            limit,
        )
    ]


def abort_stale(upload_id: UUID, cutoff: datetime) -> bool:
    """Abort an upload unless a part came since `cutoff`."""
    return bool(_ask("SELECT abort_stale(%s, %s)", upload_id, cutoff)[0][0])


def forget_completed(cutoff: datetime, limit: int) -> int:
    """Completed uploads are remembered for clients that ask again; not for ever. How many went."""
    return len(
        _ask(
            "WITH gone AS (DELETE FROM upload WHERE id IN (SELECT id FROM upload"
            " WHERE state = 'completed' AND completed_at < %s LIMIT %s) RETURNING id), told AS ("
            "INSERT INTO change (kind, body) SELECT 'forget', jsonb_build_object('uploads',"
            " jsonb_agg(id)) FROM gone HAVING count(*) > 0) SELECT id FROM gone",
            cutoff,
            limit,
        )
    )


def _ask(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())
