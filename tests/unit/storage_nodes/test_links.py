"""Requests to a node whose thread hangs: how long they wait, and on which connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from core.errors import NodeUnreachable
from storage_nodes.node import packets
from storage_nodes.node.page import PageView
from storage_nodes.stores import links as links_module
from storage_nodes.stores.link import Link
from storage_nodes.stores.links import Links
from tests.support.nodes import eventually

SOON_S = 0.1
WITHIN_S = 10.0
# A few of them fill a socket.
LARGE = bytes(50_000)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Ours, and that of a node which answers when the test says so."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield ours, theirs
    theirs.close()


@pytest.fixture
async def link(ends: tuple[socket.socket, socket.socket]) -> Link:
    return Link(ends[0], cast(PageView, None))


async def ask(link: Link, payload: bytes = b"") -> Any:
    return await link.ask("stat", None, {}, timeout_s=SOON_S, payload=payload)


async def test_a_node_that_takes_no_more_requests_is_not_waited_for(link: Link) -> None:
    async with asyncio.timeout(WITHIN_S):
        asked = [ask(link, LARGE) for _ in range(20)]
        answers = await asyncio.gather(*asked, return_exceptions=True)

    assert {type(answer) for answer in answers} == {NodeUnreachable}
    link.close()


async def test_a_connection_is_overdue_until_the_late_answer_has_come(
    link: Link, ends: tuple[socket.socket, socket.socket]
) -> None:
    with pytest.raises(NodeUnreachable):
        await ask(link)
    assert link.is_overdue

    (number, *_), _ = packets.decode(packets.receive(ends[1])[0])
    packets.send(ends[1], packets.encode([number, None]))

    async def overdue() -> bool:
        return link.is_overdue

    await eventually(overdue, answer=False)
    link.close()


async def test_a_request_that_was_never_sent_is_owed_no_answer(
    link: Link, ends: tuple[socket.socket, socket.socket]
) -> None:
    await asyncio.gather(*(ask(link, LARGE) for _ in range(20)), return_exceptions=True)
    ends[1].setblocking(False)
    heard = 0
    while link.is_overdue:
        (number, *_), _ = packets.decode(packets.receive(ends[1])[0])
        packets.send(ends[1], packets.encode([number, None]))
        heard += 1
        await asyncio.sleep(0.01)

    assert 0 < heard < 20
    link.close()


class Silent(Links):
    """Every connection leads to a node that answers nothing."""

    def __init__(self, *, queues: bool) -> None:
        super().__init__(uuid4(), socket=Path("none"), secret=b"", timeout_s=SOON_S, queues=queues)
        self.far: list[socket.socket] = []

    async def _connect(self) -> Link:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.far.append(theirs)
        return Link(ours, cast(PageView, None))

    def close(self) -> None:
        super().close()
        for sock in self.far:
            sock.close()


async def given_up(link: Link) -> None:
    with pytest.raises(NodeUnreachable):
        await ask(link)


async def test_no_request_lines_up_behind_those_given_up() -> None:
    links = Silent(queues=False)
    for _ in range(links_module._SLOW_LINKS):
        assert not links.is_silent
        await given_up(await links.slow())

    with pytest.raises(NodeUnreachable, match="does not answer"):
        await links.slow()

    assert links.is_silent
    assert len(links.far) == links_module._SLOW_LINKS
    links.close()


async def test_quick_requests_do_not_line_up_either() -> None:
    links = Silent(queues=False)
    await given_up(await links.quick())

    assert links.quick_now is None
    with pytest.raises(NodeUnreachable, match="does not answer"):
        await links.quick()
    assert links.is_silent
    links.close()


async def test_clients_requests_line_up() -> None:
    links = Silent(queues=True)
    first = await links.slow()
    await given_up(first)
    quick = await links.quick()
    await given_up(quick)

    assert await links.slow() is first
    assert links.quick_now is quick
    links.close()
