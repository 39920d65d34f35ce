"""Everything a store holds in the end: its keys, and the values of keys and versions, read until it
answers definitely.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable

from benchmarks.client import Access, Connection, Fault, Signer
from tests.support.judgement import UNREADABLE
from tests.support.load import ANSWER_WITHIN_S, value_of


async def read_all(access: Access, keys: Iterable[str], *, attempts: int = 40) -> dict[str, str]:
    """The value of each key, read until the store answers definitely."""
    wanted = [(key, None) for key in sorted(set(keys))]
    return {key: value for (key, _), value in (await _read(access, wanted, attempts)).items()}


async def read_versions(
    access: Access, versions: Iterable[tuple[str, str]], *, attempts: int = 40
) -> dict[tuple[str, str], str]:
    """The value of each version of each key."""
    found = await _read(access, sorted(set(versions)), attempts)
    return {(key, version): value for (key, version), value in found.items() if version is not None}


async def list_keys(access: Access, bucket: str) -> set[str]:
    """Every key of a bucket, as `bucket/key`."""
    signer = Signer(access)
    connection = Connection(signer.host, signer.port)
    keys: set[str] = set()
    token = ""
    while True:
        query = [("list-type", "2"), ("max-keys", "500")]
        if token:
            query.append(("continuation-token", token))
        answer = await connection.ask(signer.head("GET", f"/{bucket}", query=query))
        if answer.status != 200:
            raise Fault(f"list {bucket}: {answer.status} {answer.body[:200]!r}")
        keys |= {
            f"{bucket}/{key.decode()}" for key in re.findall(rb"<Key>([^<]+)</Key>", answer.body)
        }
        more = re.search(rb"<NextContinuationToken>([^<]+)<", answer.body)
        if more is None:
            connection.close()
            return keys
        token = more[1].decode()


async def _read(
    access: Access, wanted: list[tuple[str, str | None]], attempts: int
) -> dict[tuple[str, str | None], str]:
    signer = Signer(access)
    left = iter(wanted)
    found: dict[tuple[str, str | None], str] = {}

    async def reader() -> None:
        connection = Connection(signer.host, signer.port)
        for key, version in left:
            query = (("versionId", version),) if version is not None else ()
            value = UNREADABLE
            for _ in range(attempts):
                try:
                    async with asyncio.timeout(ANSWER_WITHIN_S):
                        answer = await connection.ask(signer.head("GET", f"/{key}", query=query))
                except (Fault, OSError, TimeoutError, ValueError):
                    answer = None
                value = value_of(answer)
                if value != UNREADABLE:
                    break
                await asyncio.sleep(0.5)
            found[(key, version)] = value
        connection.close()

    await asyncio.gather(*(reader() for _ in range(8)))
    return found
