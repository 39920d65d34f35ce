"""Request bodies: silence, draining, hashes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.checksums import EMPTY_SHA256
from core.errors import IncompleteBody, RequestTimeout, XAmzContentSHA256Mismatch
from core.streams import Whole
from s3.body import Hashed, Incoming, Watch, drain, gathered


def receiving(*pieces: bytes) -> Any:
    waiting = list(pieces)

    async def receive() -> dict[str, Any]:
        if not waiting:
            return {"type": "http.disconnect"}
        piece = waiting.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(waiting)}

    return receive


def incoming(length: int | None, *pieces: bytes) -> Incoming:
    return Incoming(receiving(*pieces), length, Watch(60))


async def test_a_silent_client_is_given_up() -> None:
    async def silence() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(RequestTimeout):
        await Incoming(silence, 5, Watch(0.02)).read()


async def test_a_task_goes_on_after_a_silent_client() -> None:
    async def silence() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(RequestTimeout):
        await Incoming(silence, 5, Watch(0.02)).read()

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_a_cancelled_reader_is_cancelled() -> None:
    async def silence() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    reading = asyncio.ensure_future(Incoming(silence, 5, Watch(60)).read())
    await asyncio.sleep(0)
    reading.cancel()

    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_empty_pieces_are_skipped() -> None:
    assert await incoming(2, b"", b"ab").read() == b"ab"


async def test_an_unannounced_body_ends_where_the_client_ends_it() -> None:
    body = incoming(None, b"ab", b"")

    assert (await body.read(), await body.read()) == (b"ab", b"")


async def test_an_unannounced_body_that_is_cut_is_incomplete() -> None:
    async def cut() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    with pytest.raises(IncompleteBody):
        await Incoming(cut, None, Watch(60)).read()


async def test_a_body_of_64_kib_is_gathered() -> None:
    body = await gathered(incoming(65_536, b"a" * 65_535, b"b"))

    assert isinstance(body, Whole)
    assert body.content == b"a" * 65_535 + b"b"


async def test_a_larger_body_is_left_alone() -> None:
    raw = incoming(65_537, b"a" * 65_537)

    assert await gathered(raw) is raw


async def test_a_hash_is_checked_at_the_end() -> None:
    body = Hashed(Whole(b"abc"), EMPTY_SHA256)
    assert await body.read() == b"abc"

    with pytest.raises(XAmzContentSHA256Mismatch):
        await body.read()


async def test_draining_reaches_the_end_of_a_small_body() -> None:
    assert await drain(incoming(4, b"ab", b"cd"), limit=10)


async def test_draining_stops_at_its_limit() -> None:
    assert not await drain(incoming(None, *[b"x" * 10] * 10), limit=20)


async def test_draining_survives_a_client_that_goes_away() -> None:
    assert not await drain(incoming(4, b"ab"), limit=10)
