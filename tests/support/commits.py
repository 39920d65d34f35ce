"""Commits made by hand: rows for a batch, transactions in the way, what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from core.config import config
from core.names import new_id
from objects.commits import Row
from objects.draft import Conditions, Draft
from objects.found import Found
from objects.write import described
from tests.support.namespace import Namespace

IF_ABSENT = Conditions(if_none_match="*")


@asynccontextmanager
async def holding(statement: str, *parameters: object) -> AsyncIterator[None]:
    """Another transaction that has run a statement and does not end inside the block."""
    async with await psycopg.AsyncConnection.connect(config().database.url) as other:
        await other.execute(statement.encode(), parameters)
        yield
        await other.rollback()


async def outcomes(*puts: Any) -> list[str]:
    """`ok`, or the error's name, of each."""
    results = await asyncio.gather(*puts, return_exceptions=True)
    return sorted(type(one).__name__ if isinstance(one, Exception) else "ok" for one in results)


async def counted(space: Namespace, key: str) -> tuple[int, int]:
    """How many versions a key has, and how many of them are the latest."""
    rows = await space.sql(
        "SELECT count(*), count(*) FILTER (WHERE v.is_latest) FROM version v"
        " JOIN bucket b ON b.id = v.bucket_id WHERE b.name = %s AND v.key = %s",
        space.bucket,
        key,
    )
    return rows[0][0], rows[0][1]


def row(found: Found, key: str, **changes: Any) -> Row:
    """A version without bytes, with columns changed."""
    bucket = found.bucket
    assert bucket is not None
    body = described(new_id(), bucket, key, Draft())
    body |= {"size": 0, "etag": "e", "checksums": None, "extents": [], **changes}
    return Row("put", found, key, body)
