"""The bridge between synchronous callers and the loop thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from core import bridge
from core.errors import DeadlineExceeded, NoSuchKey


async def _answer() -> int:
    return 42


async def _fail() -> None:
    raise NoSuchKey(key="a")


async def _never() -> None:
    await asyncio.Event().wait()


async def _numbers() -> AsyncIterator[bytes]:
    for number in range(20):
        yield bytes([number])


def test_the_result_of_a_coroutine_comes_back() -> None:
    assert bridge.run(_answer()) == 42


def test_its_error_comes_back_too() -> None:
    with pytest.raises(NoSuchKey):
        bridge.run(_fail())


def test_what_takes_too_long_is_ended() -> None:
    with pytest.raises(DeadlineExceeded):
        bridge.run(_never(), timeout_s=0.01)


def test_a_stream_arrives_in_order() -> None:
    assert b"".join(bridge.stream(_numbers)) == bytes(range(20))


def test_an_error_in_a_stream_follows_what_came_before() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"a"
        raise NoSuchKey(key="a")

    pieces = bridge.stream(broken)

    assert next(pieces) == b"a"
    with pytest.raises(NoSuchKey):
        next(pieces)


def test_a_stream_stays_within_its_depth() -> None:
    made: list[int] = []
    ended = threading.Event()

    async def source() -> AsyncIterator[bytes]:
        try:
            for number in range(100):
                made.append(number)
                yield b"x"
        finally:
            ended.set()

    pieces = bridge.stream(source, depth=3)
    next(pieces)
    pieces.close()
    assert ended.wait(60)

    assert len(made) <= 6


def test_closing_a_stream_ends_its_source() -> None:
    ended = threading.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            ended.set()

    pieces = bridge.stream(endless)
    next(pieces)
    pieces.close()

    assert ended.wait(60)
