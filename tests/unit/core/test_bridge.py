"""The bridge between synchronous callers and the loop thread."""

from __future__ import annotations

import asyncio

import pytest

from core import bridge
from core.errors import DeadlineExceeded, NoSuchKey


async def _answer() -> int:
    return 42


async def _fail() -> None:
    raise NoSuchKey(key="a")


async def _never() -> None:
    await asyncio.Event().wait()


def test_the_result_of_a_coroutine_comes_back() -> None:
    assert bridge.run(_answer()) == 42


def test_its_error_comes_back_too() -> None:
    with pytest.raises(NoSuchKey):
        bridge.run(_fail())


def test_what_takes_too_long_is_ended() -> None:
    with pytest.raises(DeadlineExceeded):
        bridge.run(_never(), timeout_s=0.01)
